//! Images to build on, and images for several machines: what is moved, and in which order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::client::{Options, Retry};
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::source::{Refusal, Source, SourceError};
use oci::{Digest, Image, ImageIndex, ImageLayer, Reference};

use crate::scripted::*;

fn image_for(architecture: &str, layers: &[&'static str]) -> Image {
    let config = ImageConfig { architecture: architecture.into(), ..ImageConfig::default() };
    let layer = |text: &&'static str| {
        let layer = MemoryLayer::gzip(Bytes::from_static(text.as_bytes()), Digest::of(text.as_bytes()));
        ImageLayer::new(Arc::new(layer))
    };
    Image::assemble(config, layers.iter().map(layer).collect(), BTreeMap::new())
}

fn several() -> ImageIndex {
    let images = vec![image_for("amd64", &["amd", "both"]), image_for("arm64", &["arm", "both"])];
    ImageIndex::assemble(images, BTreeMap::new()).unwrap()
}

fn source(reference: Reference) -> Source {
    let (first, longest) = (Duration::from_millis(2), Duration::from_secs(5));
    let retry = Retry { attempts: 2, first, longest, ..Retry::default() };
    let options = Box::new(Options { plain_http: true, retry, ..Options::default() });
    Source::Registry { options, reference }
}

/// The registry's own answers.
async fn plain() -> Server {
    Server::start(|_, _| None).await
}

#[tokio::test]
async fn an_index_comes_last_and_its_images_by_their_digests() {
    let (server, all) = (plain().await, several());
    let pushed = anonymous().push_index(&all, &server.reference("a:1"), None).await.unwrap();
    assert_eq!(pushed.digest, all.digest());
    let puts: Vec<String> =
        server.seen().iter().map(Seen::line).filter(|l| l.contains("/manifests/")).collect();
    let by_digest = |image: &Image| format!("PUT /v2/a/manifests/{}", image.digest());
    assert_eq!(puts, [by_digest(&all.images[0]), by_digest(&all.images[1]), MANIFEST.to_owned()]);
    let read = source(server.reference("a:1")).find().await.unwrap();
    assert_eq!((read.digest.clone(), read.is_index()), (all.digest(), true));
    assert_eq!(read.platforms(), ["linux/amd64", "linux/arm64"]);
    // What the index before had is not sent again.
    let before = server.count(PUT);
    let again = anonymous().push_index(&all, &server.reference("a:1"), Some("1")).await.unwrap();
    assert_eq!((server.count(PUT), again.present), (before, 6));
}

#[tokio::test]
async fn a_layer_of_another_registry_is_copied_when_it_is_missing_and_only_then() {
    let (from, all) = (plain().await, several());
    anonymous().push_index(&all, &from.reference("a:1"), None).await.unwrap();
    let source = source(from.reference("a:1"));
    let found = source.find().await.unwrap();
    let image = source.image(&found, "arm64").await.unwrap();
    assert_eq!(image.digest(), all.images[1].digest());
    let pulls = |digest: &Digest| from.count(&format!("GET /v2/a/blobs/{digest}"));
    let layers: Vec<Digest> = image.layers.iter().map(|layer| layer.layer.digest().clone()).collect();
    assert!(layers.iter().all(|digest| pulls(digest) == 0), "nothing is read before it is needed");

    let there = layers[1].clone();
    let to = Server::start(move |seen, _| {
        // It has one of the layers.
        let has = seen.method == "POST" && seen.target.contains(there.hex());
        has.then(|| status(201))
    })
    .await;
    let pushed = anonymous().push(&image, &to.reference("b:1")).await.unwrap();
    assert_eq!((pushed.digest, pushed.present + pushed.mounted), (image.digest(), 1));
    assert!(to.has_blob(&layers[0]) && !to.has_blob(&layers[1]));
    assert_eq!((pulls(&layers[0]), pulls(&layers[1])), (1, 0));
}

#[tokio::test]
async fn a_layer_that_is_not_what_its_digest_says_is_not_passed_on() {
    let image = image_for("amd64", &["honest"]);
    let liar = Server::start(|seen, _| {
        let layer = seen.method == "GET" && seen.target.contains(Digest::of(b"honest").hex());
        layer.then(|| axum::http::Response::new("h0nest".into()))
    })
    .await;
    anonymous().push(&image, &liar.reference("a:1")).await.unwrap();
    let source = source(liar.reference("a:1"));
    let image = source.image(&source.find().await.unwrap(), "amd64").await.unwrap();
    let to = plain().await;
    let error = anonymous().push(&image, &to.reference("b:1")).await.unwrap_err().to_string();
    assert!(error.contains("expected sha256:"), "{error}");
    assert!(!to.has_manifest("1"));
}

#[tokio::test]
async fn another_machines_image_is_refused_with_what_there_is() {
    let (server, all) = (plain().await, several());
    anonymous().push_index(&all, &server.reference("a:1"), None).await.unwrap();
    anonymous().push(&all.images[0], &server.reference("a:one")).await.unwrap();
    for (tag, has) in [("a:1", vec!["linux/amd64", "linux/arm64"]), ("a:one", vec!["linux/amd64"])] {
        let source = source(server.reference(tag));
        let error = source.image(&source.find().await.unwrap(), "riscv64").await.unwrap_err();
        let SourceError::Refused(Refusal::NoPlatform { wanted, has: found }) = &error else {
            panic!("{error}")
        };
        assert_eq!((&**wanted, found.iter().map(String::as_str).collect()), ("linux/riscv64", has));
    }
}
