//! Manifests that refer to others.

use oci::Digest;
use oci::manifest::{OCI_INDEX, OCI_MANIFEST};
use reqwest::{Method, Response};

use crate::harness::*;

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

async fn put(server: &Server, media_type: &str, body: String) -> (Response, Digest) {
    let digest = Digest::of(body.as_bytes());
    let request = server.request(Method::PUT, &format!("/v2/a/manifests/{digest}"));
    (request.header("content-type", media_type).body(body).send().await.unwrap(), digest)
}

/// An artifact about `subject`; its type is the manifest's own, or that of its configuration.
async fn artifact(server: &Server, subject: &Digest, own: Option<&str>, config: &str) -> Digest {
    let blob = server.upload("a", b"{}").await;
    let own = own.map(|own| format!(r#""artifactType":"{own}","#)).unwrap_or_default();
    let body = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}",{own}"config":{{"mediaType":"{config}","digest":"{blob}","size":2}},"layers":[],"subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}},"annotations":{{"of":"{config}"}}}}"#
    );
    let (response, digest) = put(server, OCI_MANIFEST, body).await;
    assert_eq!((response.status().as_u16(), header(&response, "oci-subject")), (201, subject.as_str()));
    digest
}

async fn list(server: &Server, query: &str) -> (Response, String) {
    let response = server.send(Method::GET, &format!("/v2/a/referrers/{query}"), "").await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, OCI_INDEX));
    let path = response.url().path().to_owned();
    (response, path)
}

async fn found(server: &Server, query: &str) -> Vec<serde_json::Value> {
    let index: serde_json::Value =
        serde_json::from_str(&list(server, query).await.0.text().await.unwrap()).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

#[tokio::test]
async fn referrers_are_listed_with_type_and_annotations_and_filtered() {
    let server = Server::start().await;
    let subject = Digest::of(b"an image that is pushed later");
    assert!(found(&server, subject.as_str()).await.is_empty(), "none, and no error");
    let sbom = artifact(&server, &subject, Some("application/spdx+json"), EMPTY).await;
    let signature = artifact(&server, &subject, None, "application/vnd.signature").await;
    artifact(&server, &Digest::of(b"another"), Some("application/spdx+json"), "c").await;

    let all = found(&server, subject.as_str()).await;
    assert_eq!(all.len(), 2);
    let of = |digest: &Digest| all.iter().find(|one| one["digest"] == digest.as_str()).unwrap();
    assert_eq!(of(&sbom)["artifactType"], "application/spdx+json");
    assert_eq!(of(&signature)["artifactType"], "application/vnd.signature");
    assert_eq!(of(&signature)["annotations"]["of"], "application/vnd.signature");
    assert_eq!(of(&sbom)["mediaType"], OCI_MANIFEST);

    let query = format!("{subject}?artifactType=application%2Fspdx%2Bjson");
    let (response, _) = list(&server, &query).await;
    assert_eq!(header(&response, "oci-filters-applied"), "artifactType");
    let filtered = found(&server, &query).await;
    assert_eq!(filtered.len(), 1);
    assert_eq!(filtered[0]["digest"], sbom.as_str());

    let path = format!("/v2/a/manifests/{sbom}");
    assert_eq!(server.send(Method::DELETE, &path, "").await.status(), 202);
    assert_eq!(found(&server, subject.as_str()).await.len(), 1, "a deleted one is not listed");
}

#[tokio::test]
async fn an_index_may_refer_too_and_a_bad_digest_is_refused() {
    let server = Server::start().await;
    let subject = Digest::of(b"s");
    let body = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","artifactType":"x/y","manifests":[],"subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}}}}"#
    );
    let (response, digest) = put(&server, OCI_INDEX, body).await;
    assert_eq!(header(&response, "oci-subject"), subject.as_str());
    let all = found(&server, subject.as_str()).await;
    assert_eq!((&all[0]["digest"], &all[0]["artifactType"]), (&digest.as_str().into(), &"x/y".into()));
    let response = server.send(Method::GET, "/v2/a/referrers/sha256:1", "").await;
    assert_eq!((response.status().as_u16(), code(response).await.as_str()), (400, "DIGEST_INVALID"));
}
