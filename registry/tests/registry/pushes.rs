//! Our own client against the registry.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use oci::client::ClientError;
use oci::layer::MemoryLayer;
use oci::{Digest, ImageLayer, layout};

use crate::harness::*;

#[tokio::test]
async fn a_first_push_mounts_the_base_and_needs_few_requests() {
    let server = Server::start().await;
    let client = server.client();
    client.push(&base(), &server.reference("base/node10:1")).await.unwrap();

    let image = on_base(&["dependencies", "code"]);
    let pushed = client.push(&image, &server.reference("ns/hello:1")).await.unwrap();
    assert_eq!((pushed.mounted, pushed.present), (3, 0));
    assert_eq!(pushed.requests, 10, "3 mounts, 2 for each of 3 blobs, 1 manifest");
    let sent = "dependencies".len() + "code".len() + image.config.len() + image.manifest.len();
    assert_eq!(pushed.uploaded_bytes, sent as u64);

    let (bytes, media_type, digest) = server.disk.resolve("ns/hello", "1").unwrap().unwrap();
    assert_eq!(
        (bytes, media_type, digest),
        (image.manifest.clone(), image.media_type.clone(), image.digest())
    );
    let mut code = String::new();
    server.disk.open_blob(image.layers[4].layer.digest()).unwrap().read_to_string(&mut code).unwrap();
    assert_eq!(code, "code");
}

#[tokio::test]
async fn a_first_push_that_asks_for_a_version_before_needs_eleven() {
    let server = Server::start().await;
    let client = server.client();
    client.push(&base(), &server.reference("base/node10:1")).await.unwrap();
    let image = on_base(&["dependencies", "code"]);
    let pushed = client.push_over(&image, &server.reference("ns/hello:1"), Some("latest")).await.unwrap();
    assert_eq!(pushed.requests, 11);
}

#[tokio::test]
async fn a_redeploy_sends_what_changed_in_six_requests() {
    let server = Server::start().await;
    let client = server.client();
    client.push(&base(), &server.reference("base/node10:1")).await.unwrap();
    client.push(&on_base(&["dependencies", "code"]), &server.reference("ns/hello:1")).await.unwrap();

    let image = on_base(&["dependencies", "code, changed"]);
    let pushed = client.push_over(&image, &server.reference("ns/hello:2"), Some("1")).await.unwrap();
    assert_eq!(pushed.requests, 6, "the manifest before, 2 for code and configuration each, 1 manifest");
    assert_eq!((pushed.mounted, pushed.present), (0, 4));
    let sent = "code, changed".len() + image.config.len() + image.manifest.len();
    assert_eq!(pushed.uploaded_bytes, sent as u64);
}

#[tokio::test]
async fn pushing_the_same_again_sends_the_manifest_only() {
    let server = Server::start().await;
    let client = server.client();
    client.push(&base(), &server.reference("base/node10:1")).await.unwrap();
    let pushed = client.push(&base(), &server.reference("base/node10:1")).await.unwrap();
    assert_eq!((pushed.present, pushed.uploaded_bytes), (4, base().manifest.len() as u64));
    let pushed = client.push_over(&base(), &server.reference("base/node10:1"), Some("1")).await.unwrap();
    assert_eq!(pushed.requests, 2);
}

#[tokio::test]
async fn a_base_that_is_not_there_is_uploaded() {
    let server = Server::start().await;
    let pushed = server.client().push(&on_base(&["code"]), &server.reference("ns/hello:1")).await.unwrap();
    assert_eq!((pushed.mounted, pushed.present), (0, 0));
    assert_eq!(server.disk.resolve("ns/hello", "1").unwrap().unwrap().2, pushed.digest);
}

#[tokio::test]
async fn megabytes_arrive_and_come_back() {
    let server = Server::start().await;
    let client = server.client();
    let bytes: Bytes = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let large = ImageLayer::new(Arc::new(MemoryLayer::gzip(bytes.clone(), Digest::of(b"large"))));
    let image = image(vec![large, layer("small"), layer("small")]);
    let reference = server.reference("big:1");
    client.push(&image, &reference).await.unwrap();

    let mut back = Vec::new();
    let length = client.blob(&reference, &Digest::of(&bytes), &mut back).await.unwrap();
    assert_eq!(length, bytes.len() as u64);
    assert!(back == bytes, "the bytes differ");

    let dir = tempfile::tempdir().unwrap();
    let pulled = client.pull(&reference, dir.path()).await.unwrap();
    assert_eq!(pulled.digest(), image.digest());
    layout::verify(&pulled).unwrap();
    let names = std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().count();
    assert_eq!(names, 4, "two layers, configuration, manifest, and nothing half-done");
}

#[tokio::test]
async fn a_tag_more() {
    let server = Server::start().await;
    let client = server.client();
    let pushed = client.push(&base(), &server.reference("base/node10:1")).await.unwrap();
    let by_digest = server.reference(&format!("base/node10@{}", pushed.digest));
    assert_eq!(client.tag(&by_digest, "latest").await.unwrap(), pushed.digest);
    assert_eq!(client.manifest(&server.reference("base/node10:latest")).await.unwrap().2, pushed.digest);
    assert!(matches!(client.tag(&by_digest, "no/tag").await, Err(ClientError::Reference(_))));
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_registrys_words() {
    let server = Server::start().await;
    let client = server.client();
    let error = client.manifest(&server.reference("none:1")).await.unwrap_err();
    assert!(error.to_string().contains("NAME_UNKNOWN"), "{error}");
    client.push(&base(), &server.reference("base/node10:1")).await.unwrap();
    let error = client.manifest(&server.reference("base/node10:2")).await.unwrap_err();
    assert!(error.to_string().contains("MANIFEST_UNKNOWN"), "{error}");
    let error =
        client.blob(&server.reference("base/node10"), &Digest::of(b"?"), &mut Vec::new()).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(404));
    let error = client.manifest(&server.reference("base/node10")).await.unwrap_err();
    assert!(matches!(error, ClientError::NoTarget(_)), "{error}");
}
