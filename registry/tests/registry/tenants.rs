//! Tenants share bytes on disk and see nothing of each other.

use std::sync::Arc;

use base64::Engine as _;
use futures_util::future::BoxFuture;
use oci::client::Credentials;
use registry::{Action, Authorize, Denied, Limits};
use reqwest::Method;

use crate::harness::*;

/// `alice` and `bob` own what begins with their name and may pull what begins with `base/`.
struct Tenants;

impl Authorize for Tenants {
    fn authorize<'a>(
        &'a self,
        credentials: Option<&'a str>,
        repository: &'a str,
        action: Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(async move {
            let who = credentials.and_then(user).ok_or(Denied::Unauthenticated)?;
            let own = repository.split('/').next() == Some(&who);
            let shared = action == Action::Pull && (repository.is_empty() || repository.starts_with("base/"));
            if own || shared || who == "root" { Ok(()) } else { Err(Denied::Forbidden) }
        })
    }
}

fn user(header: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.strip_suffix(":key").map(str::to_owned)
}

async fn tenants() -> Server {
    Server::with(Arc::new(Tenants), Limits::default()).await
}

fn who(user: &str) -> Credentials {
    Credentials::Basic { user: user.to_owned(), password: "key".to_owned() }
}

#[tokio::test]
async fn nobody_is_challenged_everywhere() {
    let server = tenants().await;
    for (method, path) in [
        (Method::GET, "/v2/"),
        (Method::GET, "/v2/alice/a/tags/list"),
        (Method::GET, "/v2/alice/a/manifests/1"),
        (Method::POST, "/v2/alice/a/blobs/uploads/"),
        (Method::PATCH, "/v2/alice/a/blobs/uploads/6b0b0c5e-6a4c-4f43-a4a1-0f0b8b4a7b11"),
        (Method::PUT, "/v2/alice/a/manifests/1"),
        (Method::DELETE, "/v2/alice/a/manifests/1"),
    ] {
        let response = server.send(method.clone(), path, "").await;
        assert_eq!(response.status(), 401, "{method} {path}");
        assert_eq!(header(&response, "www-authenticate"), "Basic realm=\"zipship\"");
        assert_eq!(code(response).await, "UNAUTHORIZED");
    }
    let wrong = client(Credentials::Basic { user: "alice".into(), password: "wrong".into() });
    let error = wrong.push(&base(), &server.reference("alice/a:1")).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
    assert!(!error.to_string().contains("wrong"), "{error}");
}

#[tokio::test]
async fn one_tenant_reads_nothing_of_another() {
    let server = tenants().await;
    let image = image(vec![layer("alice's secret")]);
    let secret = image.layers[0].layer.digest().clone();
    client(who("alice")).push(&image, &server.reference("alice/a:1")).await.unwrap();

    let bob = client(who("bob"));
    let error = bob.manifest(&server.reference("alice/a:1")).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(403));
    // Knowing a digest is not having the blob: it is not in bob's repository.
    let error = bob.blob(&server.reference("bob/b"), &secret, &mut Vec::new()).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(404));
    // Nor can it be mounted: that becomes an upload, which needs the bytes.
    let path = format!("/v2/bob/b/blobs/uploads/?mount={secret}&from=alice/a");
    let response = server.request(Method::POST, &path).basic_auth("bob", Some("key")).send().await.unwrap();
    assert_eq!(response.status(), 202);
    // Nor named by a manifest.
    let path = "/v2/bob/b/manifests/1";
    let request = server.request(Method::PUT, path).header("content-type", &image.media_type);
    let response = request.basic_auth("bob", Some("key")).body(image.manifest.clone()).send().await.unwrap();
    assert_eq!(code(response).await, "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_mount_without_rights_there_becomes_an_upload() {
    let server = tenants().await;
    let theirs = image(vec![layer("shared text")]);
    client(who("alice")).push(&theirs, &server.reference("alice/a:1")).await.unwrap();
    let same = image(vec![from(layer("shared text"), "alice/a")]);
    let pushed = client(who("bob")).push(&same, &server.reference("bob/b:1")).await.unwrap();
    assert_eq!((pushed.mounted, pushed.present), (0, 0));
    assert!(pushed.uploaded_bytes >= "shared text".len() as u64);
}

#[tokio::test]
async fn a_base_that_all_may_pull_is_mounted_but_not_written() {
    let server = tenants().await;
    client(who("root")).push(&base(), &server.reference("base/node10:1")).await.unwrap();
    let bob = client(who("bob"));
    let pushed = bob.push(&on_base(&["code"]), &server.reference("bob/b:1")).await.unwrap();
    assert_eq!(pushed.mounted, 3);
    let error = bob.push(&base(), &server.reference("base/node10:2")).await.unwrap_err();
    assert!(error.to_string().contains("DENIED"), "{error}");
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let server = tenants().await;
    let as_ =
        |user: &'static str, method, path: &str| server.request(method, path).basic_auth(user, Some("key"));
    let response = as_("alice", Method::POST, "/v2/alice/a/blobs/uploads/").send().await.unwrap();
    let location = header(&response, "location").to_owned();
    let moved = location.replace("alice/a", "bob/b");
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let response = as_("bob", method, &moved).send().await.unwrap();
        assert_eq!(code(response).await, "BLOB_UPLOAD_UNKNOWN");
    }
    assert_eq!(as_("alice", Method::GET, &location).send().await.unwrap().status(), 204);
}
