//! Cleaning a repository: what no tag reaches goes, and nothing else; and the list of repositories.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use oci::{Digest, Image};
use registry::{Action, Authorize, Denied, Limits};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::*;

/// Everybody may do everything, but the image of layer `running` is in use.
struct Running;

fn running() -> Image {
    image(vec![layer("running")])
}

impl Authorize for Running {
    fn authorize<'a>(
        &'a self,
        _: Option<&'a str>,
        repository: &'a str,
        _: Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        let verdict = if repository.starts_with("secret/") { Err(Denied::Forbidden) } else { Ok(()) };
        Box::pin(async move { verdict })
    }

    fn in_use<'a>(
        &'a self,
        _: &'a str,
        digest: &'a Digest,
    ) -> BoxFuture<'a, std::io::Result<Option<String>>> {
        let used = (*digest == running().digest()).then(|| "function hello runs it".to_owned());
        Box::pin(async move { Ok(used) })
    }
}

async fn server(grace: Duration) -> Server {
    Server::with(Arc::new(Running), Limits { grace, ..Limits::default() }).await
}

async fn clean(server: &Server, repository: &str) -> Value {
    let response = server.send(Method::POST, &format!("/v2/{repository}/_zipship/clean"), "").await;
    assert_eq!(response.status(), 200);
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn there(server: &Server, image: &Image) -> bool {
    let path = format!("/v2/ns/a/manifests/{}", image.digest());
    server.send(Method::HEAD, &path, "").await.status() == 200
}

async fn put(server: &Server, target: &str, document: &Value) -> Digest {
    let bytes = document.to_string();
    let digest = Digest::of(bytes.as_bytes());
    let target = if target.is_empty() { digest.to_string() } else { target.to_owned() };
    let request = server.request(Method::PUT, &format!("/v2/ns/a/manifests/{target}"));
    let media_type = document["mediaType"].as_str().unwrap().to_owned();
    let response = request.header("content-type", media_type).body(bytes).send().await.unwrap();
    assert_eq!(response.status(), 201);
    digest
}

fn descriptor(image: &Image) -> Value {
    json!({"mediaType": image.media_type, "digest": image.digest(), "size": image.manifest.len()})
}

#[tokio::test]
async fn what_no_tag_reaches_goes_and_what_is_reached_or_runs_stays() {
    let server = server(Duration::ZERO).await;
    let (old, new, child) =
        (image(vec![layer("old")]), image(vec![layer("new")]), image(vec![layer("child")]));
    for (image, tag) in [(&old, "latest"), (&new, "latest"), (&running(), "1")] {
        server.client().push(image, &server.reference(&format!("ns/a:{tag}"))).await.unwrap();
    }
    let by_digest = |image: &Image| server.reference("ns/a").with_digest(image.digest());
    server.client().push(&child, &by_digest(&child)).await.unwrap();
    let index =
        json!({"schemaVersion": 2, "mediaType": oci::manifest::OCI_INDEX, "manifests": [descriptor(&child)]});
    put(&server, "index", &index).await;
    let refers = |to: &Image| {
        json!({"schemaVersion": 2, "mediaType": oci::manifest::OCI_MANIFEST, "subject": descriptor(to),
        "config": serde_json::from_slice::<Value>(&new.manifest).unwrap()["config"], "layers": []})
    };
    let referrers = [put(&server, "", &refers(&new)).await, put(&server, "", &refers(&running())).await];
    server.send(Method::DELETE, "/v2/ns/a/manifests/1", "").await;

    let cleaned = clean(&server, "ns/a").await;
    assert_eq!(cleaned["manifests"], 1, "{cleaned}");
    assert!(cleaned["bytes"].as_u64().unwrap() > 0);
    assert!(!there(&server, &old).await);
    for kept in [&new, &child, &running()] {
        assert!(there(&server, kept).await, "{kept:?}");
        layer_is_there(&server, kept).await;
    }
    for referrer in referrers {
        let path = format!("/v2/ns/a/manifests/{referrer}");
        assert_eq!(server.send(Method::HEAD, &path, "").await.status(), 200, "of what is reached, or runs");
    }
    assert_eq!(clean(&server, "ns/a").await["manifests"], 0, "nothing is left to do");
}

async fn layer_is_there(server: &Server, image: &Image) {
    let path = format!("/v2/ns/a/blobs/{}", image.layers[0].layer.digest());
    assert_eq!(server.send(Method::HEAD, &path, "").await.status(), 200);
}

#[tokio::test]
async fn what_is_young_stays_for_now() {
    let server = server(Duration::from_secs(3600)).await;
    let image = image(vec![layer("soon tagged")]);
    let reference = server.reference("ns/a").with_digest(image.digest());
    server.client().push(&image, &reference).await.unwrap();
    let cleaned = clean(&server, "ns/a").await;
    assert_eq!((&cleaned["manifests"], &cleaned["grace_seconds"]), (&json!(0), &json!(3600)));
    assert!(there(&server, &image).await);
}

#[tokio::test]
async fn what_runs_cannot_be_deleted_by_its_digest() {
    let server = server(Duration::ZERO).await;
    server.client().push(&running(), &server.reference("ns/a:1")).await.unwrap();
    let path = format!("/v2/ns/a/manifests/{}", running().digest());
    let response = server.send(Method::DELETE, &path, "").await;
    assert_eq!(response.status(), 403);
    assert!(response.text().await.unwrap().contains("function hello runs it"));
    assert!(there(&server, &running()).await);
}

#[tokio::test]
async fn the_list_has_what_the_caller_may_pull_page_by_page() {
    let server = server(Duration::ZERO).await;
    for repository in ["ns/b", "ns/a/deep", "ns/a", "other"] {
        server.upload(repository, b"x").await;
    }
    std::fs::create_dir_all(server.path().join("repositories/secret/x/_blobs")).unwrap();
    let list = async |path: &str| {
        let response = server.send(Method::GET, path, "").await;
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (body["repositories"].clone(), link)
    };
    assert_eq!(list("/v2/_catalog").await, (json!(["ns/a", "ns/a/deep", "ns/b", "other"]), None));
    let (first, link) = list("/v2/_catalog?n=3").await;
    assert_eq!(first, json!(["ns/a", "ns/a/deep", "ns/b"]));
    let next = link.unwrap();
    let next = next.split(['<', '>']).nth(1).unwrap();
    assert_eq!(list(next).await, (json!(["other"]), None));
}

/// Whoever is told that a manifest is there may put it into an index next.
#[tokio::test]
async fn a_manifest_that_an_index_names_anew_is_young_again() {
    let server = server(Duration::from_secs(3600)).await;
    let child = image(vec![layer("child")]);
    let reference = server.reference("ns/a").with_digest(child.digest());
    server.client().push(&child, &reference).await.unwrap();
    let link = server.path().join("repositories/ns/a/_manifests").join(child.digest().hex());
    let old = std::time::SystemTime::now() - Duration::from_secs(7200);
    std::fs::File::options().write(true).open(&link).unwrap().set_modified(old).unwrap();
    let index =
        json!({"schemaVersion": 2, "mediaType": oci::manifest::OCI_INDEX, "manifests": [descriptor(&child)]});
    put(&server, "several", &index).await;
    server.send(Method::DELETE, "/v2/ns/a/manifests/several", "").await;
    assert_eq!(clean(&server, "ns/a").await["manifests"], 0);
    assert!(there(&server, &child).await);
}
