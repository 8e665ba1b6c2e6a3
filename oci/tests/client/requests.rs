//! How many requests a push takes: each is a round trip that a CI job waits for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::{Digest, Image, ImageLayer};

use crate::raw::{Fault, Head, Raw, status as answer_of};
use crate::scripted::*;

/// Three base layers, dependencies of two mebibytes, code.
fn function(code: &'static str) -> Image {
    let layer = |bytes: Bytes| {
        let diff_id = Digest::of(&bytes);
        ImageLayer::new(Arc::new(MemoryLayer::gzip(bytes, diff_id)))
    };
    let mut layers: Vec<ImageLayer> = Vec::new();
    for base in ["libc", "node", "shim"] {
        let mut layer = layer(Bytes::from_static(base.as_bytes()));
        layer.mount_from = Some("base/node22".to_owned());
        layers.push(layer);
    }
    layers.extend([layer(Bytes::from(vec![7; 2 << 20])), layer(Bytes::from_static(code.as_bytes()))]);
    Image::assemble(ImageConfig::default(), layers, BTreeMap::new())
}

/// A registry that mounts what the base has and what it has itself.
async fn mounting() -> Server {
    let base: Vec<String> =
        ["libc", "node", "shim"].map(|name| Digest::of(name.as_bytes()).to_string()).into();
    Server::start(move |seen, _| {
        let query = seen.target.replace("%3A", ":");
        let known = base.iter().any(|digest| query.contains(&format!("mount={digest}&from=base")));
        (seen.method == "POST" && known).then(|| status(201))
    })
    .await
}

#[tokio::test]
async fn a_first_push_takes_eleven_requests_and_the_next_six() {
    let server = mounting().await;
    let client = anonymous();
    let pushed = client.push_over(&function("one"), &server.reference("a:1"), Some("1")).await.unwrap();
    let lines: Vec<String> = server.seen().iter().map(Seen::line).collect();
    assert!(pushed.requests <= 11 && lines.len() == pushed.requests as usize, "{lines:#?}");
    assert_eq!(pushed.mounted, 3);
    assert_eq!(server.count("GET /v2/a/manifests/1"), 1);

    let before = lines.len();
    let pushed = client.push_over(&function("two"), &server.reference("a:1"), Some("1")).await.unwrap();
    let lines: Vec<String> = server.seen()[before..].iter().map(Seen::line).collect();
    assert!(pushed.requests <= 6 && lines.len() == pushed.requests as usize, "{lines:#?}");
    assert_eq!(pushed.present, 4, "three of the base, and the dependencies");
    assert!(pushed.uploaded_bytes < 20_000);
}

#[tokio::test]
async fn the_manifest_comes_when_everything_else_is_there() {
    let server = mounting().await;
    anonymous().push(&function("one"), &server.reference("a:1")).await.unwrap();
    let seen = server.seen();
    let last = seen.last().unwrap().line();
    assert_eq!(last, MANIFEST);
    assert_eq!(seen.iter().filter(|seen| seen.line() == MANIFEST).count(), 1);
}

#[tokio::test]
async fn a_large_blob_is_looked_for_where_mounts_are_not_known() {
    let server = Server::start(|_, _| None).await;
    let image = function("one");
    anonymous().push(&image, &server.reference("a:1")).await.unwrap();
    let head = format!("HEAD /v2/a/blobs/{}", image.layers[3].layer.digest());
    assert_eq!(server.count(&head), 1);
    let pushed = anonymous().push(&image, &server.reference("a:2")).await.unwrap();
    assert_eq!((server.count(&head), pushed.present), (2, 1));
}

#[tokio::test]
async fn a_source_that_is_closed_is_asked_for_once() {
    for code in [401, 403, 405] {
        let server =
            Server::start(move |seen, _| seen.target.contains("from=base").then(|| status(code))).await;
        // With and without a question before that shows what the registry wants to see.
        for (previous, tag) in [(None, "a:1"), (Some("1"), "a:1"), (Some("none"), "a:2")] {
            let before = server.seen().len();
            anonymous().push_over(&function("one"), &server.reference(tag), previous).await.unwrap();
            let seen = server.seen().split_off(before);
            let asked = seen.iter().filter(|seen| seen.target.contains("from=base")).count();
            // What the tag's image has is not asked for at all.
            let expected = usize::from(previous != Some("1"));
            assert_eq!(asked, expected, "{code} {previous:?}");
        }
    }
}

/// Pushes over the tag `1`; returns how often the registry was waited for, and how many requests that were. Each answer
/// takes so long that all who do not wait for it have asked by then.
async fn rounds(
    image: &Image,
    script: impl Fn(&Head) -> Option<Fault> + Send + Sync + 'static,
) -> (u32, u32) {
    const ANSWER: Duration = Duration::from_millis(400);
    let (ended, last) = (Mutex::new(0), Arc::new(AtomicU32::new(0)));
    let seen = last.clone();
    let server = Raw::start(move |head, _| {
        let round = *ended.lock().unwrap() + 1;
        std::thread::sleep(ANSWER);
        let mut ended = ended.lock().unwrap();
        *ended = round.max(*ended);
        seen.store(*ended, Ordering::SeqCst);
        script(head)
    });
    let pushed = anonymous().push_over(image, &server.reference("a:1"), Some("1")).await.unwrap();
    assert!(server.has_manifest("1"));
    (last.load(Ordering::SeqCst), pushed.requests)
}

/// A manifest of the version before, as the registry gives it.
fn stored(image: &Image) -> Fault {
    let manifest = std::str::from_utf8(&image.manifest).unwrap();
    Fault::Answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{manifest}", manifest.len()))
}

#[tokio::test]
async fn a_push_waits_for_the_registry_four_times() {
    let mounts =
        |head: &Head| head.target.contains("from=base").then(|| Fault::Answer(answer_of("201 Created", "")));
    let image = function("one");
    // The manifest before, questions, bytes, the manifest.
    assert_eq!(rounds(&image, mounts).await, (4, 11));
    let before = function("zero");
    let redeploy = move |head: &Head| (head.line == "GET /v2/a/manifests/1").then(|| stored(&before));
    assert_eq!(rounds(&image, redeploy).await, (4, 6));
}

#[tokio::test]
async fn where_only_writing_wants_a_token_one_is_fetched() {
    let server = Server::start(|seen, _| {
        let host = seen.header("host").unwrap();
        match (seen.target.starts_with("/token"), seen.method == "GET") {
            (true, _) => Some(json(r#"{"token":"t"}"#.into())),
            (false, false) if seen.header("authorization") != Some("Bearer t") => {
                let challenge = format!(r#"Bearer realm="http://{host}/token""#);
                Some(status(401).with("www-authenticate", &challenge))
            }
            _ => None,
        }
    })
    .await;
    me().push_over(&function("one"), &server.reference("a:1"), Some("1")).await.unwrap();
    let tokens = server.seen().iter().filter(|seen| seen.target.starts_with("/token")).count();
    assert_eq!((tokens, server.has_manifest("1")), (1, true));
}

#[tokio::test]
async fn a_token_service_that_denies_the_source_denies_only_the_mounts() {
    let server = Server::start(|seen, _| {
        if seen.target.starts_with("/token") {
            let denied = seen.target.contains("base");
            return Some(if denied {
                refusal(403, "DENIED", "not yours")
            } else {
                json(r#"{"token":"t"}"#.into())
            });
        }
        let host = seen.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token""#);
        (seen.header("authorization") != Some("Bearer t"))
            .then(|| status(401).with("www-authenticate", &challenge))
    })
    .await;
    let pushed = me().push(&function("one"), &server.reference("a:1")).await.unwrap();
    assert_eq!(pushed.mounted, 0);
    assert!(server.has_manifest("1"));
}
