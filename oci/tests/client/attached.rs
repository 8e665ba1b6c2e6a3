//! Documents about an image: where they go, and who lists them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use oci::Digest;
use oci::artifact::{Artifact, Attachment, EMPTY};
use oci::client::{ClientError, Listed};
use oci::manifest::{Index, Manifest, OCI_INDEX};

use crate::scripted::*;

fn document(text: &str) -> Attachment {
    let annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let content = text.as_bytes().to_vec();
    Artifact { artifact_type: "application/x-test".into(), content, annotations }.attached_to(&image())
}

fn fallback() -> String {
    format!("sha256-{}", image().digest().hex())
}

#[tokio::test]
async fn a_registry_that_knows_subjects_is_left_to_list_them() {
    let server = Server::start(|seen, _| {
        let manifest = seen.method == "PUT" && seen.target.contains("/manifests/");
        manifest.then(|| status(201).with("oci-subject", image().digest().as_str()))
    })
    .await;
    let document = document("one");
    let attached = anonymous().attach(&document, &server.reference("a:1")).await.unwrap();
    assert_eq!((attached.listed, &attached.digest), (Listed::ByRegistry, &document.descriptor.digest));
    assert!(server.has_blob(&Digest::of(EMPTY)) && server.has_blob(&Digest::of(b"one")));
    let last = server.seen().pop().unwrap();
    assert_eq!(last.line(), format!("PUT /v2/a/manifests/{}", document.descriptor.digest));
    let manifest: Manifest = serde_json::from_slice(&last.body).unwrap();
    assert_eq!(manifest.artifact_type.as_deref(), Some("application/x-test"));
    assert_eq!(manifest.subject.unwrap().digest, image().digest());
    assert_eq!(manifest.config.media_type, "application/vnd.oci.empty.v1+json");
}

#[tokio::test]
async fn without_such_a_registry_a_tag_lists_them_each_once() {
    let server = Server::start(|_, _| None).await;
    let (client, reference) = (anonymous(), server.reference("a:1"));
    for text in ["one", "two", "one"] {
        let attached = client.attach(&document(text), &reference).await.unwrap();
        assert_eq!(attached.listed, Listed::ByTag);
    }
    let listed = client.referrers(&reference, &image().digest()).await.unwrap();
    assert_eq!(listed, [document("one").descriptor, document("two").descriptor]);
    assert!(server.has_manifest(&fallback()));
    assert_eq!(
        server.count(&format!("PUT /v2/a/manifests/{}", fallback())),
        2,
        "nothing to do the third time"
    );
}

#[tokio::test]
async fn an_entry_that_another_writer_took_away_is_written_again_beside_his() {
    // After the first write the tag holds the other writer's index, as if he had read before us.
    let other = document("other").descriptor;
    let (tag, theirs) = (fallback(), other.clone());
    let stolen = Mutex::new(false);
    let server = Server::start(move |seen, before| {
        let line = format!("GET /v2/a/manifests/{tag}");
        if seen.line() != line || before != 1 || std::mem::replace(&mut *stolen.lock().unwrap(), true) {
            return None;
        }
        let index = Index {
            schema_version: 2,
            media_type: Some(OCI_INDEX.into()),
            manifests: vec![theirs.clone()],
            annotations: BTreeMap::new(),
            other: BTreeMap::new(),
        };
        Some(json(serde_json::to_string(&index).unwrap()).with("content-type", OCI_INDEX))
    })
    .await;
    let mine = document("mine");
    anonymous().attach(&mine, &server.reference("a:1")).await.unwrap();
    let listed = anonymous().referrers(&server.reference("a:1"), &image().digest()).await.unwrap();
    assert_eq!(listed, [other, mine.descriptor]);
}

#[tokio::test]
async fn writers_at_the_same_time_all_end_up_in_the_list() {
    let server = Server::start(|_, _| None).await;
    let (client, reference) = (anonymous(), server.reference("a:1"));
    let documents: Vec<Attachment> = ["1", "2", "3"].map(document).into();
    let (a, b, c) = tokio::join!(
        client.attach(&documents[0], &reference),
        client.attach(&documents[1], &reference),
        client.attach(&documents[2], &reference),
    );
    a.and(b).and(c).unwrap();
    // The check after each write makes this likely, not certain; what is certain is that nothing is listed twice and
    // that attaching again mends it.
    for document in &documents {
        client.attach(document, &reference).await.unwrap();
    }
    let listed = client.referrers(&reference, &image().digest()).await.unwrap();
    assert_eq!(listed.len(), 3);
}

#[tokio::test]
async fn a_tag_that_is_no_list_is_not_written_over() {
    let tag = fallback();
    let server = Server::start(move |seen, _| {
        let line = format!("GET /v2/a/manifests/{tag}");
        (seen.line() == line).then(|| json("[]".into()).with("content-type", "application/x-other"))
    })
    .await;
    let error = anonymous().attach(&document("one"), &server.reference("a:1")).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    assert_eq!(server.count(&format!("PUT /v2/a/manifests/{}", fallback())), 0);
}

#[tokio::test]
async fn all_pages_of_a_list_are_read_and_no_other_hosts() {
    let server = Server::start(|seen, _| {
        let entry = |text: &str| serde_json::to_string(&document(text).descriptor).unwrap();
        let page = |text: &str| json(format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(text)));
        let first = seen.line().contains("/referrers/") && !seen.target.contains('?');
        let second = seen.target.ends_with("?page=2");
        match (first, second) {
            (true, _) => Some(page("one").with("link", &format!(r#"<{}?page=2>; rel="next""#, seen.target))),
            (_, true) => Some(page("two").with("link", r#"<http://other.invalid/>; rel="next""#)),
            _ => None,
        }
    })
    .await;
    let listed = anonymous().referrers(&server.reference("a"), &image().digest()).await.unwrap();
    assert_eq!(listed, [document("one").descriptor, document("two").descriptor]);
    assert_eq!(server.seen().len(), 2);
}
