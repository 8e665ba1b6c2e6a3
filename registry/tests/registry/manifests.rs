//! Manifests and tags, by hand.

use oci::Digest;
use oci::manifest::{OCI_INDEX, OCI_MANIFEST};
use reqwest::{Method, StatusCode};

use crate::harness::*;

async fn put(
    server: &Server,
    target: &str,
    media_type: &str,
    body: impl Into<reqwest::Body>,
) -> reqwest::Response {
    let request = server.request(Method::PUT, &format!("/v2/a/manifests/{target}"));
    request.header("content-type", media_type).body(body).send().await.unwrap()
}

/// A manifest whose only blob is an empty configuration, which is uploaded.
async fn manifest(server: &Server, annotation: &str) -> String {
    let config = server.upload("a", b"{}").await;
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[],"annotations":{{"a":"{annotation}"}}}}"#
    )
}

#[tokio::test]
async fn by_tag_and_by_digest() {
    let server = Server::start().await;
    let manifest = manifest(&server, "1").await;
    let digest = Digest::of(manifest.as_bytes());
    let response = put(&server, "latest", OCI_MANIFEST, manifest.clone()).await;
    assert_eq!(
        (response.status(), header(&response, "docker-content-digest")),
        (StatusCode::CREATED, digest.as_str())
    );
    for target in ["latest", digest.as_str()] {
        let path = format!("/v2/a/manifests/{target}");
        let response = server.send(Method::HEAD, &path, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-length"), manifest.len().to_string());
        assert_eq!(header(&response, "docker-content-digest"), digest.as_str());
        let response = server.send(Method::GET, &path, "").await;
        assert_eq!(header(&response, "content-type"), OCI_MANIFEST);
        assert_eq!(response.text().await.unwrap(), manifest);
    }
    let response = put(&server, Digest::of(b"other").as_str(), OCI_MANIFEST, manifest).await;
    assert_eq!(code(response).await, "DIGEST_INVALID");
}

#[tokio::test]
async fn what_it_names_must_be_there() {
    let server = Server::start().await;
    let text = manifest(&server, "1").await;
    let missing = Digest::of(b"missing");
    let layered = text.replace("[]", &format!(r#"[{{"mediaType":"l","digest":"{missing}","size":7}}]"#));
    let response = put(&server, "1", OCI_MANIFEST, layered.clone()).await;
    assert_eq!(
        (response.status(), code(response).await.as_str()),
        (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN")
    );
    server.upload("a", b"missing").await;
    assert_eq!(put(&server, "1", OCI_MANIFEST, layered).await.status(), 201);

    let digest = Digest::of(text.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":{}}}]}}"#,
        text.len()
    );
    assert_eq!(code(put(&server, "index", OCI_INDEX, index.clone()).await).await, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(put(&server, digest.as_str(), OCI_MANIFEST, text).await.status(), 201);
    assert_eq!(put(&server, "index", OCI_INDEX, index).await.status(), 201);
}

#[tokio::test]
async fn what_is_none_is_refused() {
    let server = Server::start().await;
    for (media_type, body) in [
        (OCI_MANIFEST, "no json"),
        (OCI_MANIFEST, "{}"),
        (OCI_MANIFEST, r#"{"schemaVersion":1}"#),
        ("text/plain", r#"{"schemaVersion":2}"#),
    ] {
        let response = put(&server, "1", media_type, body).await;
        assert_eq!(
            (response.status(), code(response).await.as_str()),
            (StatusCode::BAD_REQUEST, "MANIFEST_INVALID")
        );
    }
    let response = server.send(Method::GET, "/v2/a/manifests/1", "").await;
    assert_eq!(code(response).await, "NAME_UNKNOWN", "nothing was stored");
}

#[tokio::test]
async fn tags_in_pages() {
    let server = Server::start().await;
    assert_eq!(code(server.send(Method::GET, "/v2/a/tags/list", "").await).await, "NAME_UNKNOWN");
    let manifest = manifest(&server, "1").await;
    for tag in ["latest", "2", "10", "1"] {
        put(&server, tag, OCI_MANIFEST, manifest.clone()).await;
    }
    let mut path = "/v2/a/tags/list?n=3".to_owned();
    let response = server.send(Method::GET, &path, "").await;
    path = header(&response, "link").strip_suffix(">; rel=\"next\"").unwrap()[1..].to_owned();
    assert_eq!(response.text().await.unwrap(), r#"{"name":"a","tags":["1","10","2"]}"#);
    let response = server.send(Method::GET, &path, "").await;
    assert!(!response.headers().contains_key("link"));
    assert_eq!(response.text().await.unwrap(), r#"{"name":"a","tags":["latest"]}"#);
}

#[tokio::test]
async fn deleting() {
    let server = Server::start().await;
    let manifest = manifest(&server, "1").await;
    let digest = Digest::of(manifest.as_bytes());
    for tag in ["1", "2", "3"] {
        put(&server, tag, OCI_MANIFEST, manifest.clone()).await;
    }
    let delete = async |target: &str| {
        server.send(Method::DELETE, &format!("/v2/a/manifests/{target}"), "").await.status()
    };
    assert_eq!((delete("1").await, delete("1").await), (StatusCode::ACCEPTED, StatusCode::NOT_FOUND));
    assert_eq!(server.send(Method::GET, "/v2/a/manifests/2", "").await.status(), 200);
    assert_eq!(delete(digest.as_str()).await, StatusCode::ACCEPTED);
    assert_eq!(code(server.send(Method::GET, "/v2/a/manifests/2", "").await).await, "MANIFEST_UNKNOWN");
    assert_eq!(delete(digest.as_str()).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let server = Server::start().await;
    let response = server.send(Method::PATCH, "/v2/a/manifests/1", "").await;
    assert_eq!(
        (response.status(), header(&response, "allow")),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, PUT, DELETE")
    );
    for name in ["A", "a..b", "a/-/b", "..%2f..%2fetc"] {
        let response = server.send(Method::GET, &format!("/v2/{name}/tags/list"), "").await;
        assert_eq!(
            (response.status(), code(response).await.as_str()),
            (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            "{name}"
        );
    }
    let response = server.send(Method::GET, "/v2/", "").await;
    assert_eq!(response.status(), 200);
}
