//! What a push tells while it goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use oci::Digest;
use oci::client::{Arrival, Progress, Push};

use crate::scripted::*;

#[derive(Default)]
struct Heard {
    sent: Mutex<HashMap<Digest, Vec<u64>>>,
    arrived: Mutex<Vec<(Digest, u64, Arrival)>>,
}

impl Progress for Heard {
    fn sent(&self, blob: &Digest, bytes: u64) {
        self.sent.lock().unwrap().entry(blob.clone()).or_default().push(bytes);
    }

    fn arrived(&self, blob: &Digest, bytes: u64, how: Arrival) {
        self.arrived.lock().unwrap().push((blob.clone(), bytes, how));
    }
}

#[tokio::test]
async fn every_blob_is_told_once_and_what_is_sent_as_it_goes() {
    let base = Digest::of(b"base");
    let server = Server::start(move |seen, before| {
        let mounts = seen.target.contains(base.hex()) && seen.target.contains("from=base");
        match (seen.line().as_str(), before) {
            _ if mounts => Some(status(201)),
            (PUT, 0) => Some(status(502)),
            _ => None,
        }
    })
    .await;
    let (heard, image) = (Arc::new(Heard::default()), image());
    let how = Push { progress: Some(heard.clone()), ..Push::default() };
    anonymous().push_with(&image, &server.reference("a:1"), &how).await.unwrap();
    let mut arrived = heard.arrived.lock().unwrap().clone();
    arrived.sort_by_key(|(_, bytes, _)| *bytes);
    let code = image.layers[1].layer.clone();
    assert_eq!(arrived.len(), 3);
    assert!(arrived.contains(&(Digest::of(b"base"), 4, Arrival::Mounted)));
    assert!(arrived.contains(&(code.digest().clone(), 4, Arrival::Uploaded)));
    let sent = heard.sent.lock().unwrap();
    assert_eq!(sent.keys().len(), 2, "nothing is sent of what was linked");
    assert_eq!(sent[code.digest()].last(), Some(&4));
    // What the registry threw away is sent, and told, again.
    assert_eq!(sent.values().map(Vec::len).sum::<usize>(), 3);
}
