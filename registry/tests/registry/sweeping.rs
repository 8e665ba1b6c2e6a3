//! What an embedder has no use for goes, and nothing that is named, used, or in somebody's hands.

use std::time::Duration;

use oci::{Digest, Image};
use registry::{Retired, Swept, collect, sweep};
use reqwest::Method;

use crate::harness::*;

/// Pushes an image of a shared layer and one of its own.
async fn push(server: &Server, own: &str, tags: &[&str]) -> Image {
    let image = image(vec![layer("shared"), layer(own)]);
    for tag in tags {
        server.client().push(&image, &server.reference(&format!("ns/f:{tag}"))).await.unwrap();
    }
    image
}

fn retired(tags: &[(&str, &Image)]) -> Retired {
    let tags: Vec<_> = tags.iter().map(|(tag, image)| ((*tag).to_owned(), image.digest())).collect();
    let images = tags.iter().map(|(_, digest)| digest.clone()).collect();
    Retired { repository: "ns/f".into(), tags, images, used: Vec::new() }
}

fn now(server: &Server, retired: Retired) -> Swept {
    sweep(&server.disk, Duration::ZERO, || Ok(Some(vec![retired]))).unwrap().unwrap()
}

async fn is_there(server: &Server, target: &str) -> bool {
    server.send(Method::GET, &format!("/v2/ns/f/manifests/{target}"), "").await.status() == 200
}

fn has_blob(server: &Server, text: &str) -> bool {
    server.disk.open_blob(&Digest::of(text.as_bytes())).is_ok()
}

#[tokio::test]
async fn a_retired_image_goes_with_its_tag_and_with_what_only_it_holds() {
    let server = Server::start().await;
    let (one, two) = (push(&server, "one", &["1"]).await, push(&server, "two", &["2", "latest"]).await);
    let swept = now(&server, retired(&[("1", &one)]));
    assert_eq!((swept.tags, swept.manifests, swept.waiting.len()), (1, 1, 0));
    assert!(!is_there(&server, "1").await && !is_there(&server, one.digest().as_str()).await);
    assert!(!has_blob(&server, "one") && has_blob(&server, "shared") && has_blob(&server, "two"));
    let pulled = tempfile::tempdir().unwrap();
    let again = server.client().pull(&server.reference("ns/f:latest"), pulled.path()).await.unwrap();
    assert_eq!(again.digest(), two.digest());
    // Told again, it finds nothing to do.
    assert_eq!(now(&server, retired(&[("1", &one)])), Swept::default());
}

#[tokio::test]
async fn what_another_tag_or_a_use_reaches_stays() {
    let server = Server::start().await;
    let (one, two) = (push(&server, "one", &["1", "mine"]).await, push(&server, "two", &["2"]).await);
    let three = push(&server, "three", &["3"]).await;
    // Somebody has given the third one's tag to another image.
    push(&server, "four", &["3"]).await;
    let gone = Retired { used: vec![two.digest()], ..retired(&[("1", &one), ("2", &two), ("3", &three)]) };
    let swept = now(&server, gone);
    assert_eq!((swept.tags, swept.manifests), (2, 1), "the tags 1 and 2, the image of 3");
    assert!(!is_there(&server, "1").await && is_there(&server, "mine").await);
    assert!(!is_there(&server, "2").await && is_there(&server, two.digest().as_str()).await);
    assert!(is_there(&server, "3").await && !is_there(&server, three.digest().as_str()).await);
    assert!(has_blob(&server, "one") && has_blob(&server, "two") && !has_blob(&server, "three"));
}

#[tokio::test]
async fn what_is_young_waits_and_what_is_asked_for_meanwhile_stays() {
    let server = Server::start().await;
    let one = push(&server, "one", &["1"]).await;
    let young = sweep(&server.disk, Duration::from_secs(3600), || Ok(Some(vec![retired(&[("1", &one)])])));
    let young = young.unwrap().unwrap();
    assert_eq!((young.tags, young.manifests), (1, 0));
    assert!(young.waiting.contains(&("ns/f".to_owned(), one.digest())), "to be named again");
    // A push of the same image comes while it is decided that the old one goes.
    let (disk, client, reference) = (server.disk.clone(), server.client(), server.reference("ns/f:9"));
    let runtime = tokio::runtime::Handle::current();
    let (again, gone) = (one.clone(), retired(&[("1", &one)]));
    let swept = tokio::task::spawn_blocking(move || {
        sweep(&disk, Duration::ZERO, || {
            runtime.block_on(client.push(&again, &reference)).unwrap();
            Ok(Some(vec![gone]))
        })
    });
    let swept = swept.await.unwrap().unwrap().unwrap();
    assert_eq!((swept.manifests, swept.collected.files), (0, 0));
    assert!(is_there(&server, "9").await && has_blob(&server, "one"));
    assert_eq!(sweep(&server.disk, Duration::ZERO, || Ok(None)).unwrap(), None);
    assert_eq!(collect(&server.disk, Duration::ZERO).unwrap(), Default::default());
}
