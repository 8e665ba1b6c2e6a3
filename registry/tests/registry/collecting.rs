//! Garbage goes, and nothing that anybody can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oci::Digest;
use registry::collect;
use reqwest::Method;

use crate::harness::*;

#[tokio::test]
async fn what_no_manifest_names_goes_and_the_rest_stays() {
    let server = Server::start().await;
    let image = image(vec![layer("one"), layer("two")]);
    server.client().push(&image, &server.reference("ns/a:1")).await.unwrap();
    let orphan = server.upload("ns/b", b"never named").await;
    let collected = collect(&server.disk, Duration::ZERO).unwrap();
    assert_eq!((collected.unlinked, collected.files, collected.bytes), (1, 1, 11));
    assert!(server.disk.open_blob(&orphan).is_err());
    let pulled = tempfile::tempdir().unwrap();
    let again = server.client().pull(&server.reference("ns/a:1"), pulled.path()).await.unwrap();
    assert_eq!(again.digest(), image.digest());
    assert_eq!(collect(&server.disk, Duration::ZERO).unwrap(), Default::default(), "nothing is left to do");
}

#[tokio::test]
async fn a_deleted_image_goes_but_not_what_another_repository_shares_with_it() {
    let server = Server::start().await;
    let (first, second) =
        (image(vec![layer("base"), layer("one")]), image(vec![layer("base"), layer("two")]));
    server.client().push(&first, &server.reference("a:1")).await.unwrap();
    server.client().push(&second, &server.reference("b:1")).await.unwrap();
    let path = format!("/v2/a/manifests/{}", first.digest());
    assert_eq!(server.send(Method::DELETE, &path, "").await.status(), 202);
    collect(&server.disk, Duration::ZERO).unwrap();
    let there = |text: &str| server.disk.open_blob(&Digest::of(text.as_bytes())).is_ok();
    assert_eq!((there("base"), there("one"), there("two")), (true, false, true));
    assert!(server.disk.open_blob(&first.digest()).is_err(), "the manifest itself");
}

#[tokio::test]
async fn what_is_young_stays() {
    let server = Server::start().await;
    let blob = server.upload("a", b"soon to be named").await;
    assert_eq!(collect(&server.disk, Duration::from_secs(3600)).unwrap(), Default::default());
    assert!(server.disk.open_blob(&blob).is_ok());
}

/// Ends the collector also when the test fails.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pushes go on while everything that is not in use is taken at once: each image that was pushed is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_beside_a_collection_loses_nothing() {
    let server = Arc::new(Server::start().await);
    let stop = Stop(Arc::new(AtomicBool::new(false)));
    let collector = {
        let (server, stop) = (server.clone(), stop.0.clone());
        tokio::task::spawn_blocking(move || {
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) {
                // Longer than a push takes, shorter than the test: what earlier rounds left is garbage.
                collect(&server.disk, Duration::from_secs(2)).expect("collected");
                rounds += 1;
            }
            rounds
        })
    };
    for round in 0..20 {
        // The shared layer's image of the round before is deleted: each push meets it as garbage, or as its own.
        let image = image(vec![layer("shared"), layer(&format!("layer {round}"))]);
        let reference = server.reference("a:latest");
        server.client().push(&image, &reference).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let pulled = server.client().pull(&reference, directory.path()).await;
        assert_eq!(pulled.unwrap_or_else(|error| panic!("round {round}: {error}")).digest(), image.digest());
        let path = format!("/v2/a/manifests/{}", image.digest());
        server.send(Method::DELETE, &path, "").await;
    }
    drop(stop);
    assert!(collector.await.unwrap() > 0);
}
