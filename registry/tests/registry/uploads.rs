//! The upload flows of the distribution specification, by hand.

use std::sync::Arc;

use oci::Digest;
use registry::Limits;
use reqwest::{Method, StatusCode};

use crate::harness::*;

const HELLO: &str = "hello, world";

async fn session(server: &Server) -> String {
    let response = server.send(Method::POST, "/v2/a/blobs/uploads/", "").await;
    assert_eq!(response.status(), 202);
    header(&response, "location").to_owned()
}

async fn chunk(server: &Server, location: &str, range: &str, bytes: &'static str) -> reqwest::Response {
    let request = server.request(Method::PATCH, location).header("content-range", range);
    request.header("content-type", "application/octet-stream").body(bytes).send().await.unwrap()
}

async fn assert_blob(server: &Server, content: &str) {
    let response =
        server.send(Method::GET, &format!("/v2/a/blobs/{}", Digest::of(content.as_bytes())), "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), content);
}

#[tokio::test]
async fn one_post() {
    let server = Server::start().await;
    let digest = server.upload("a", HELLO.as_bytes()).await;
    assert_blob(&server, HELLO).await;
    let response = server.send(Method::HEAD, &format!("/v2/a/blobs/{digest}"), "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-length"), "12");
    assert_eq!(header(&response, "docker-content-digest"), digest.as_str());
}

#[tokio::test]
async fn post_and_put() {
    let server = Server::start().await;
    let location = session(&server).await;
    let digest = Digest::of(HELLO.as_bytes());
    let response = server.send(Method::PUT, &format!("{location}?digest={digest}"), HELLO).await;
    assert_eq!(response.status(), 201);
    assert_eq!(header(&response, "location"), format!("/v2/a/blobs/{digest}"));
    assert_eq!(header(&response, "docker-content-digest"), digest.as_str());
    assert_blob(&server, HELLO).await;
    let response = server.send(Method::GET, &location, "").await;
    assert_eq!(code(response).await, "BLOB_UPLOAD_UNKNOWN", "the session is over");
}

#[tokio::test]
async fn the_empty_blob() {
    let server = Server::start().await;
    server.upload("a", b"").await;
    assert_blob(&server, "").await;
}

#[tokio::test]
async fn chunks_in_order() {
    let server = Server::start().await;
    let location = session(&server).await;
    let response = chunk(&server, &location, "0-4", "hello").await;
    assert_eq!((response.status(), header(&response, "range")), (StatusCode::ACCEPTED, "0-4"));
    let response = server.send(Method::GET, &location, "").await;
    assert_eq!((response.status(), header(&response, "range")), (StatusCode::NO_CONTENT, "0-4"));
    let response = chunk(&server, &location, "5-6", ", ").await;
    assert_eq!(header(&response, "range"), "0-6");
    let path = format!("{location}?digest={}", Digest::of(HELLO.as_bytes()));
    let last = server.request(Method::PUT, &path).header("content-range", "7-11").body("world");
    assert_eq!(last.send().await.unwrap().status(), 201);
    assert_blob(&server, HELLO).await;
}

#[tokio::test]
async fn chunks_out_of_order_are_refused_and_the_upload_goes_on() {
    let server = Server::start().await;
    let location = session(&server).await;
    let response = chunk(&server, &location, "5-11", ", world").await;
    assert_eq!((response.status(), header(&response, "range")), (StatusCode::RANGE_NOT_SATISFIABLE, "0-0"));
    chunk(&server, &location, "0-4", "hello").await;
    for range in ["0-4", "4-10", "6-12"] {
        let response = chunk(&server, &location, range, ", world").await;
        assert_eq!(response.status(), 416, "{range}");
        assert_eq!((header(&response, "range"), header(&response, "location")), ("0-4", location.as_str()));
    }
    let response = chunk(&server, &location, "5-6", ", world").await;
    assert_eq!(code(response).await, "SIZE_INVALID", "the range says 2 bytes, the body has 7");
    let response = chunk(&server, &location, "five-six", ", ").await;
    assert_eq!(code(response).await, "SIZE_INVALID");
    assert_eq!(chunk(&server, &location, "5-11", ", world").await.status(), 202);
    let path = format!("{location}?digest={}", Digest::of(HELLO.as_bytes()));
    assert_eq!(server.send(Method::PUT, &path, "").await.status(), 201);
    assert_blob(&server, HELLO).await;
}

#[tokio::test]
async fn a_wrong_digest_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    let location = session(&server).await;
    let other = Digest::of(b"other");
    let response = server.send(Method::PUT, &format!("{location}?digest={other}"), HELLO).await;
    assert_eq!(
        (response.status(), code(response).await.as_str()),
        (StatusCode::BAD_REQUEST, "DIGEST_INVALID")
    );
    for digest in [other, Digest::of(HELLO.as_bytes())] {
        let response = server.send(Method::GET, &format!("/v2/a/blobs/{digest}"), "").await;
        assert_eq!(code(response).await, "BLOB_UNKNOWN");
    }
    let location = session(&server).await;
    for query in ["", "?digest=", "?digest=md5:1"] {
        let response = server.send(Method::PUT, &format!("{location}{query}"), HELLO).await;
        assert_eq!(code(response).await, "DIGEST_INVALID", "{query}");
    }
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    let server = Server::start().await;
    let location = session(&server).await;
    chunk(&server, &location, "0-4", "hello").await;
    assert_eq!(server.send(Method::DELETE, &location, "").await.status(), 204);
    assert_eq!(server.send(Method::DELETE, &location, "").await.status(), 404);
    assert_eq!(chunk(&server, &location, "5-6", ", ").await.status(), 404);
}

#[tokio::test]
async fn a_body_that_breaks_off_makes_no_blob() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::start().await;
    let location = session(&server).await;
    let digest = Digest::of(HELLO.as_bytes());
    let mut stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let head =
        format!("PUT {location}?digest={digest} HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\nhello");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(server.send(Method::GET, &format!("/v2/a/blobs/{digest}"), "").await.status(), 404);
}

#[tokio::test]
async fn too_large_is_refused() {
    let server = Server::with(Arc::new(Open), Limits { blob: 10, manifest: 100, ..Limits::default() }).await;
    let location = session(&server).await;
    let path = format!("{location}?digest={}", Digest::of(HELLO.as_bytes()));
    let response = server.send(Method::PUT, &path, HELLO).await;
    assert_eq!(
        (response.status(), code(response).await.as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID")
    );
    let response = server.send(Method::PUT, "/v2/a/manifests/1", "x".repeat(101)).await;
    assert_eq!(
        (response.status(), code(response).await.as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID")
    );
}

#[tokio::test]
async fn mounts() {
    let server = Server::start().await;
    let digest = server.upload("a", HELLO.as_bytes()).await;
    let path = |from: &str| format!("/v2/b/blobs/uploads/?mount={digest}&from={from}");
    for from in ["c", "../a", "b"] {
        let response = server.send(Method::POST, &path(from), "").await;
        assert_eq!(response.status(), 202, "{from}");
        assert!(header(&response, "location").starts_with("/v2/b/blobs/uploads/"));
    }
    assert_eq!(server.send(Method::GET, &format!("/v2/b/blobs/{digest}"), "").await.status(), 404);
    let response = server.send(Method::POST, &path("a"), "").await;
    assert_eq!(response.status(), 201);
    assert_eq!(header(&response, "location"), format!("/v2/b/blobs/{digest}"));
    assert_eq!(server.send(Method::GET, &format!("/v2/b/blobs/{digest}"), "").await.status(), 200);
    // Deleting it there leaves it here.
    assert_eq!(server.send(Method::DELETE, &format!("/v2/b/blobs/{digest}"), "").await.status(), 202);
    assert_eq!(server.send(Method::GET, &format!("/v2/b/blobs/{digest}"), "").await.status(), 404);
    assert_blob(&server, HELLO).await;
}

#[tokio::test]
async fn ranges() {
    let server = Server::start().await;
    let digest = server.upload("a", HELLO.as_bytes()).await;
    let get = async |range: &str| {
        let request = server.request(Method::GET, &format!("/v2/a/blobs/{digest}")).header("range", range);
        request.send().await.unwrap()
    };
    let response = get("bytes=7-").await;
    assert_eq!(
        (response.status(), header(&response, "content-range")),
        (StatusCode::PARTIAL_CONTENT, "bytes 7-11/12")
    );
    assert_eq!(response.text().await.unwrap(), "world");
    assert_eq!(get("bytes=0-4").await.text().await.unwrap(), "hello");
    let response = get("bytes=12-").await;
    assert_eq!(
        (response.status(), header(&response, "content-range")),
        (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */12")
    );
}
