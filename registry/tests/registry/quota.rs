//! A namespace holds what its quota lets it, and not a byte more.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::future::join_all;
use oci::Digest;
use registry::{Action, Authorize, Denied, Limits};
use reqwest::Method;

use crate::harness::*;

/// `small` has room for so many bytes.
const ROOM: u64 = 1000;

struct Bounded;

impl Authorize for Bounded {
    fn authorize<'a>(
        &'a self,
        _: Option<&'a str>,
        _: &'a str,
        _: Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(async { Ok(()) })
    }

    fn quota(&self, repository: &str) -> Option<u64> {
        repository.starts_with("small/").then_some(ROOM)
    }
}

async fn bounded() -> Server {
    Server::with(Arc::new(Bounded), Limits::default()).await
}

/// Tries to upload in one request; the status.
async fn upload(server: &Server, repository: &str, bytes: Vec<u8>) -> u16 {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", Digest::of(&bytes));
    server.send(Method::POST, &path, bytes).await.status().as_u16()
}

#[tokio::test]
async fn content_counts_once_and_other_namespaces_not_at_all() {
    let server = bounded().await;
    assert_eq!(upload(&server, "small/a", vec![1; 600]).await, 201);
    assert_eq!(upload(&server, "small/b", vec![1; 600]).await, 201, "the same content again");
    assert_eq!(upload(&server, "small/b", vec![2; 401]).await, 403);
    assert_eq!(upload(&server, "small/b", vec![2; 400]).await, 201, "to the last byte");
    assert_eq!(upload(&server, "large/b", vec![3; 5000]).await, 201);
}

#[tokio::test]
async fn mounts_chunks_and_manifests_count_too() {
    let server = bounded().await;
    assert_eq!(upload(&server, "large/a", vec![1; 1001]).await, 201);
    let big = Digest::of(&[1; 1001]);
    let mount = format!("/v2/small/a/blobs/uploads/?mount={big}&from=large/a");
    let response = server.send(Method::POST, &mount, "").await;
    assert_eq!(response.status(), 403);
    let told = response.text().await.unwrap();
    assert!(told.contains("not for 1001 more") && told.contains("quota of 1000"), "{told}");

    let response = server.send(Method::POST, "/v2/small/a/blobs/uploads/", "").await;
    let location = header(&response, "location").to_owned();
    assert_eq!(server.send(Method::PATCH, &location, vec![1; 600]).await.status(), 202);
    let response = server.send(Method::PATCH, &location, vec![1; 401]).await;
    assert_eq!(code(response).await, "DENIED", "before the bytes are taken");

    // A body that does not say how long it is ends where the room does.
    let response = server.send(Method::POST, "/v2/small/b/blobs/uploads/", "").await;
    let location = header(&response, "location").to_owned();
    let pieces = (0..100).map(|_| Ok::<_, std::io::Error>(vec![1; 100]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let response = server.send(Method::PATCH, &location, body).await;
    assert_eq!(code(response).await, "DENIED");
    let response = server.send(Method::GET, &location, "").await;
    assert_eq!(code(response).await, "BLOB_UPLOAD_UNKNOWN", "what came of it is gone");

    let mut manifest = image(vec![]).manifest;
    assert_eq!(upload(&server, "small/a", image(vec![]).config).await, 201);
    manifest.extend(vec![b' '; 1000]);
    let request = server.request(Method::PUT, "/v2/small/a/manifests/1").body(manifest);
    let response = request.header("content-type", oci::manifest::OCI_MANIFEST).send().await.unwrap();
    assert_eq!(code(response).await, "DENIED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_at_the_same_time_do_not_get_past_it() {
    let server = bounded().await;
    let uploads = (0..20u8).map(|i| upload(&server, "small/a", vec![i; 300]));
    let statuses = join_all(uploads).await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 403].contains(status)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_still_writes_hears_why_it_is_refused() {
    let server = bounded().await;
    for _ in 0..20 {
        let response = server.send(Method::POST, "/v2/small/a/blobs/uploads/", "").await;
        let location = header(&response, "location").to_owned();
        // In pieces, and more than what the sockets between them hold.
        let pieces = (0..128).map(|_| Ok::<_, std::io::Error>(vec![1; 64 << 10]));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let request = server.request(Method::PATCH, &location).header("content-length", 8 << 20).body(body);
        assert_eq!(code(request.send().await.unwrap()).await, "DENIED");
    }
}
