//! The registry's process is killed in the middle of pushes. What it said is stored is there and whole; what it did not
//! say can be pushed again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use oci::layer::MemoryLayer;
use oci::{Digest, Image, ImageLayer, Reference};
use registry::Registry;
use registry::store::Disk;

use crate::harness::*;

/// Names the store for the process that is killed.
const STORE: &str = "ZIPSHIP_KILLED_REGISTRY";
const ROUNDS: u32 = 12;

/// The process that is killed: this very program, as a registry. By itself, in an ordinary run, it does nothing.
#[tokio::test]
async fn child_serves_until_it_is_killed() {
    let Some(store) = std::env::var_os(STORE) else { return };
    let disk = Disk::open(PathBuf::from(store)).unwrap();
    let router = registry::router(Registry::new(disk, Arc::new(Open)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

struct Served {
    process: Child,
    address: String,
}

impl Served {
    fn start(store: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_serves_until_it_is_killed", "--nocapture"])
            .env(STORE, store)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let told =
            lines.map_while(Result::ok).find_map(|line| Some(line.split_once("listening on ")?.1.to_owned()));
        Self { process, address: told.expect("it says where it listens") }
    }

    fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.address)).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A layer of some megabytes that do not compress to nothing, so that a push takes its time.
fn large(seed: u32) -> ImageLayer {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let bytes: Vec<u8> = (0..1_000_000).flat_map(|_| next()).collect();
    let diff_id = Digest::of(&bytes);
    ImageLayer::new(Arc::new(MemoryLayer::gzip(bytes.into(), diff_id)))
}

/// Every file of content has the digest of its name, and every tag and manifest names what is there.
fn check(store: &Path, acknowledged: &[(String, Image)]) {
    for entry in std::fs::read_dir(store.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let digest = Digest::of(&std::fs::read(&path).unwrap());
        assert_eq!(path.file_name().unwrap().to_str(), Some(digest.hex()), "content is whole");
    }
    let disk = Disk::open(store).unwrap();
    for (tag, image) in acknowledged {
        let found = disk.resolve("ns/a", tag).unwrap().unwrap_or_else(|| panic!("tag {tag} is lost"));
        assert_eq!(found.2, image.digest());
        for layer in &image.layers {
            assert!(disk.open_blob(layer.layer.digest()).is_ok(), "a layer of {tag}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_pushes_lose_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let shared = large(0);
    let (mut acknowledged, mut cut) = (Vec::new(), 0);
    for round in 1..=ROUNDS {
        let server = Served::start(&store);
        let image = image(vec![shared.clone(), large(round)]);
        let tag = round.to_string();
        let reference = server.reference(&format!("ns/a:{tag}"));
        let client = client(oci::client::Credentials::Anonymous);
        // From "hardly begun" to "long done", over the rounds.
        let life = Duration::from_millis(u64::from(round * round));
        let push = tokio::time::timeout(life, client.push(&image, &reference)).await;
        drop(server);
        match push {
            Ok(Ok(_)) => acknowledged.push((tag.clone(), image.clone())),
            _ => cut += 1,
        }
        check(&store, &acknowledged);
        // And the push that was cut off succeeds against the next one.
        if push.is_err() && round % 3 == 0 {
            let server = Served::start(&store);
            let reference = server.reference(&format!("ns/a:{tag}"));
            client.push(&image, &reference).await.unwrap();
            acknowledged.push((tag, image));
        }
    }
    assert!(cut > 0, "no push was cut off");
    check(&store, &acknowledged);
}
