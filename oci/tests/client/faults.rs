//! Faults that a push survives, and those that it reports.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oci::client::ClientError;
use oci::{Digest, ImageLayer, Layer};

use crate::scripted::*;

/// Pushes and checks that everything arrived.
async fn arrives(server: &Server) -> oci::client::Pushed {
    let pushed = anonymous().push(&image(), &server.reference("a:1")).await.unwrap();
    for layer in &image().layers {
        assert!(server.has_blob(layer.layer.digest()));
    }
    assert!(server.has_blob(&Digest::of(&image().config)) && server.has_manifest("1"));
    pushed
}

#[tokio::test]
async fn a_registry_without_mounts_costs_nothing_more() {
    let server = Server::start(|_, _| None).await;
    let pushed = arrives(&server).await;
    assert_eq!(pushed.requests, 7, "2 for each of 3 blobs, 1 manifest");
    assert_eq!((server.count(POST), server.count(PUT), pushed.mounted), (3, 3, 0));
    assert!(server.seen()[0].target.ends_with("&from=base%2Fx"), "{}", server.seen()[0].target);
}

#[tokio::test]
async fn mounts_that_are_refused_become_uploads() {
    for code in [400, 401, 403, 404, 405] {
        let server =
            Server::start(move |seen, _| seen.target.contains("from=base").then(|| status(code))).await;
        let pushed = arrives(&server).await;
        assert_eq!((pushed.mounted, pushed.requests), (0, 8), "{code}");
    }
}

#[tokio::test]
async fn passing_faults_are_survived() {
    let server = Server::start(|seen, before| match (seen.line().as_str(), before) {
        (POST, 0) => Some(status(503)),
        (PUT, 0) => hang_up(),
        (PUT, 1) => Some(status(502)),
        (MANIFEST, 0) => Some(refusal(500, "UNKNOWN", "oops")),
        (MANIFEST, 1) => hang_up(),
        _ => None,
    })
    .await;
    arrives(&server).await;
    assert_eq!(server.count(MANIFEST), 3);
    // A failed upload starts over in a new session: what the old one holds is unknown.
    assert_eq!((server.count(POST), server.count(PUT)), (6, 5));
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_not_sent_again() {
    let code = Digest::of(b"code");
    let (upload, found) = (code.as_str().replace(':', "%3A"), format!("HEAD /v2/a/blobs/{code}"));
    let lost = AtomicBool::new(false);
    // Blobs go up side by side: the one whose answer is lost is known by its digest, not by its turn.
    let server = Server::start(move |seen, _| match seen.line().as_str() {
        PUT if seen.target.ends_with(&upload) && !lost.swap(true, Ordering::Relaxed) => hang_up(),
        line if line == found && lost.load(Ordering::Relaxed) => Some(status(200)),
        line if line.starts_with("DELETE") => Some(status(204)),
        _ => None,
    })
    .await;
    let pushed = anonymous().push(&image(), &server.reference("a:1")).await.unwrap();
    assert_eq!(pushed.present, 1);
    assert_eq!(server.count(PUT), 3, "base, code once, configuration");
}

#[tokio::test]
async fn a_wait_that_the_registry_asks_for_is_kept() {
    let server = Server::start(|seen, before| {
        (seen.line() == PUT && before == 0).then(|| status(429).with("retry-after", "1"))
    })
    .await;
    let start = Instant::now();
    arrives(&server).await;
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_an_error_with_the_registrys_words() {
    let server = Server::start(|seen, _| {
        (seen.line() == MANIFEST)
            .then(|| refusal(429, "TOOMANYREQUESTS", "come back tomorrow").with("retry-after", "86400"))
    })
    .await;
    let error = anonymous().push(&image(), &server.reference("a:1")).await.unwrap_err();
    assert!(error.to_string().contains("TOOMANYREQUESTS: come back tomorrow"), "{error}");
    assert_eq!(server.count(MANIFEST), 1);
}

#[tokio::test]
async fn patience_ends() {
    let server =
        Server::start(|seen, _| (seen.line() == POST).then(|| refusal(503, "UNKNOWN", "down"))).await;
    let error = anonymous().push(&image(), &server.reference("a:1")).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(503));
    assert_eq!(server.count(POST), 4);
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let server = Server::start(|seen, _| (seen.line() == PUT).then(|| refusal(403, "DENIED", "quota"))).await;
    let error = anonymous().push(&image(), &server.reference("a:1")).await.unwrap_err();
    assert!(error.to_string().contains("403 Forbidden: DENIED: quota"), "{error}");
    assert_eq!(server.count(PUT), 1);
    assert!(!server.has_manifest("1"));
}

#[tokio::test]
async fn a_registry_that_stores_something_else_is_found_out() {
    let server = Server::start(|seen, _| {
        let other = Digest::of(b"other");
        (seen.line() == MANIFEST).then(|| status(201).with("docker-content-digest", other.as_str()))
    })
    .await;
    let error = anonymous().push(&image(), &server.reference("a:1")).await.unwrap_err();
    assert!(matches!(error, ClientError::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reference = oci::Reference::parse(&format!("{address}/a:1")).unwrap();
    let error = anonymous().manifest(&reference).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

/// A layer whose bytes end early or late, or cannot be read.
struct Broken {
    digest: Digest,
    size: u64,
    bytes: Option<&'static [u8]>,
}

impl Layer for Broken {
    fn digest(&self) -> &Digest {
        &self.digest
    }
    fn diff_id(&self) -> &Digest {
        &self.digest
    }
    fn size(&self) -> u64 {
        self.size
    }
    fn media_type(&self) -> &str {
        oci::manifest::OCI_LAYER_GZIP
    }
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match self.bytes {
            Some(bytes) => Ok(Box::new(bytes)),
            None => Err(io::Error::other("disk on fire")),
        }
    }
}

#[tokio::test]
async fn a_layer_that_cannot_be_read_is_named() {
    for (size, bytes, reason) in [
        (9, None, "disk on fire"),
        (9, Some(&b"short"[..]), "4 bytes before"),
        (2, Some(b"long"), "after its size"),
    ] {
        let server = Server::start(|_, _| None).await;
        let digest = Digest::of(b"broken");
        let mut image = image();
        image.layers[1] = ImageLayer::new(Arc::new(Broken { digest: digest.clone(), size, bytes }));
        let error = anonymous().push(&image, &server.reference("a:1")).await.unwrap_err();
        assert!(matches!(&error, ClientError::Layer { digest: named, .. } if *named == digest), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!server.has_manifest("1") && !server.has_blob(&digest));
    }
}
