//! An upload goes on where it broke off: after its connection, and after the registry's own end.

use oci::Digest;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

const HELLO: &str = "hello, world";

async fn session(server: &Server) -> String {
    let response = server.send(Method::POST, "/v2/a/blobs/uploads/", "").await;
    header(&response, "location").to_owned()
}

/// How far the upload is, as the registry has it.
async fn range(server: &Server, location: &str) -> String {
    let response = server.send(Method::GET, location, "").await;
    assert_eq!(response.status(), 204, "the upload is known");
    header(&response, "range").to_owned()
}

async fn rest(server: &Server, location: &str, from: usize) {
    let digest = Digest::of(HELLO.as_bytes());
    let path = format!("{location}?digest={digest}");
    let request = server.request(Method::PUT, &path).header("content-range", format!("{from}-11"));
    let response = request.body(&HELLO[from..]).send().await.unwrap();
    assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
    let response = server.send(Method::GET, &format!("/v2/a/blobs/{digest}"), "").await;
    assert_eq!(response.text().await.unwrap(), HELLO);
}

#[tokio::test]
async fn after_a_connection_that_broke() {
    let server = Server::start().await;
    let location = session(&server).await;
    let mut stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\nhello");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(range(&server, &location).await, "0-4");
    rest(&server, &location, 5).await;
}

#[tokio::test]
async fn after_a_restart() {
    let server = Server::start().await;
    let (begun, fresh) = (session(&server).await, session(&server).await);
    assert_eq!(server.send(Method::PATCH, &begun, &HELLO[..5]).await.status(), 202);
    let server = server.restarted().await;
    assert_eq!(range(&server, &begun).await, "0-4");
    let other = begun.replace("/v2/a/", "/v2/b/");
    let response = server.send(Method::GET, &other, "").await;
    assert_eq!(code(response).await, "BLOB_UPLOAD_UNKNOWN", "it still belongs to its repository");
    rest(&server, &begun, 5).await;
    rest(&server, &fresh, 0).await;
    assert_eq!(server.send(Method::GET, &begun, "").await.status(), 404, "the session is over");
}

#[tokio::test]
async fn a_file_that_was_changed_meanwhile_makes_no_blob() {
    let server = Server::start().await;
    let location = session(&server).await;
    assert_eq!(server.send(Method::PATCH, &location, &HELLO[..5]).await.status(), 202);
    let id = location.rsplit('/').next().unwrap();
    std::fs::write(server.path().join("uploads").join(id), "jello").unwrap();
    let server = server.restarted().await;
    let path = format!("{location}?digest={}", Digest::of(HELLO.as_bytes()));
    let response = server.send(Method::PUT, &path, &HELLO[5..]).await;
    assert_eq!(code(response).await, "DIGEST_INVALID");
}
