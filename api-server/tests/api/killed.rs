//! `kill -9` of a process that collects or counts, at each of its points: what is needed stays, nothing is counted
//! twice, and whoever comes next makes up for the rest.
//!
//! The process is this binary again, with one of the tests below that are named after what they do when they are told.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use api_server::{
    Config,
    archives::Disk,
    collection::{CollectPolicy, Collector, Keep, Round},
    killpoint,
    secrets::{Keys, Sealer},
    store::{DAY_MS, Store, StoreError, UsageDelta, now_ms},
};
use gateway::Usage;

use crate::{
    collection::World,
    harness::{Client, Server},
};

/// Where a child finds what it works on: the data directory, and PostgreSQL's URL if the store lies there.
const DATA: &str = "ZIPSHIP_TEST_KILLED_DATA";
const DATABASE: &str = "ZIPSHIP_TEST_KILLED_DATABASE";
/// The applications of which a child counts.
const USED: &str = "ZIPSHIP_TEST_KILLED_USED";

/// What a child was told to work on.
fn told() -> Option<Config> {
    let mut config = Config::new(std::env::var(DATA).ok()?.into());
    config.database_url = std::env::var(DATABASE).ok().map(|url| url.parse().unwrap());
    Some(config)
}

/// The store as another process opens it.
async fn store(config: &Config) -> Store {
    let keys = Keys::load(&config.key_file()).unwrap();
    Store::open(&config.database(), Sealer::new(&keys)).await.unwrap()
}

/// Runs a test of this file over a server's data until it is killed at `point`.
async fn killed(server: &Server, test: &str, point: &str, used: &[&str]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &format!("killed::{test}")]).stdout(Stdio::null());
    child.env(DATA, server.data()).env(USED, used.join(" ")).env(killpoint::KILL_AT, point);
    if let Some(url) = &server.state.config.database_url {
        child.env(DATABASE, url.expose());
    }
    let ended = tokio::task::spawn_blocking(move || child.status().unwrap()).await.unwrap();
    assert_eq!(ended.signal(), Some(9), "{point}");
}

#[tokio::test(flavor = "multi_thread")]
async fn collects_when_told() {
    let Some(config) = told() else { return };
    let (store, archives) = (store(&config).await, Disk::open(&config.archives()).unwrap());
    let images = registry::store::Disk::open(config.data.join("registry")).unwrap();
    let policy = CollectPolicy {
        images: Keep::Last(0),
        archives: Keep::Last(0),
        grace: Duration::ZERO,
        every: Duration::from_secs(1),
    };
    Collector { store, archives: archives.into(), images, unpacked: None, policy }.round().await.unwrap();
}

async fn sql(server: &Server, text: &'static str) {
    let run = async |tx: &mut sqlx::AnyConnection| {
        sqlx::query(text).execute(tx).await?;
        Ok::<_, StoreError>(())
    };
    server.state.store.write("function.update", run).await.unwrap();
}

/// One upload whose URL has expired, and one whose URL is good.
async fn two_uploads(server: &Server, client: &Client, function: &str) -> [String; 2] {
    let expired = client.upload_url(function, 7).await;
    sql(server, "UPDATE uploads SET expires = 1").await;
    [expired, client.upload_url(function, 7).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_killed_takes_nothing_needed_and_the_next_one_ends_it() {
    let world = World::new().await;
    let (server, client, store) = (&world.server, &world.client, &world.server.state.store);
    let collector = world.collector(Keep::Last(0));
    let mut number = 0;
    for name in ["archive.collect", "image.collect", "image.collected", "upload.forget"] {
        for point in [format!("{name}.before"), format!("{name}.after")] {
            number += 1;
            let names = ["old", "older", "live"].map(|name| format!("{name} {number}"));
            for name in &names[..2] {
                world.version(name).await;
            }
            let live = world.version(&names[2]).await;
            let [expired, good] = two_uploads(server, client, &world.function).await;
            killed(server, "collects_when_told", &point, &[]).await;

            // Archives go one by one. From the second time on there are two more: the last live one, and what came in time.
            let before = if number == 1 { 3 } else { 5 };
            let left = match point.as_str() {
                "archive.collect.before" => before,
                "archive.collect.after" => before - 1,
                _ => 1,
            };
            assert_eq!(world.archives().len(), left, "{point}");
            let tags = world.tags(&live).await;
            assert!(tags.contains(&"latest".to_owned()), "{point}: {tags:?}");
            assert!(world.has_blob(&names[2]) && world.has_blob("shared"), "{point}");
            // Images go whole or not at all.
            let gone = point == "image.collect.after" || name == "image.collected";
            let before = if number == 1 { 4 } else { 5 };
            assert_eq!(tags.len(), if gone { 2 } else { before }, "{point}: {tags:?}");

            let round = collector.round().await.unwrap();
            assert_eq!(world.archives(), names[2..], "{point}: {round:?}");
            let version = (3 * number).to_string();
            assert_eq!(world.tags(&live).await, [version, "latest".to_owned()], "{point}: {round:?}");
            for (name, kept) in names.iter().zip([false, false, true]) {
                assert_eq!(world.has_blob(name), kept, "{point}: {name}");
            }
            let folder = tempfile::tempdir().unwrap();
            world.registry().pull(&world.reference(&live, "latest"), folder.path()).await.unwrap();
            assert!(store.retired_images(0).await.unwrap().is_empty(), "{point}: rows are looked at again");
            assert!(!store.uploads_expired(now_ms()).await.unwrap(), "{point}: uploads are left");
            assert_eq!(collector.round().await.unwrap(), Round::default(), "{point}: something was left");

            assert_eq!(client.put(&expired, "belated", Some(7)).await.status, 404, "{point}");
            assert_eq!(client.put(&good, "in time", Some(7)).await.status, 200, "{point}");
        }
    }
}

fn used(application_id: &str, invocations: u64) -> UsageDelta {
    let used = Usage { invocations, errors: 1, cold_starts: 1, duration_ms: 10, memory_mb_ms: 1280 };
    let day = now_ms().div_euclid(DAY_MS) * DAY_MS;
    UsageDelta { application_id: application_id.to_owned(), day, used }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_when_told() {
    let Some(config) = told() else { return };
    let applications = std::env::var(USED).unwrap();
    let deltas: Vec<_> = applications.split(' ').map(|application| used(application, 5)).collect();
    store(&config).await.add_usage(&deltas).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_is_being_counted_is_in_the_store_once_or_not_at_all() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let applications = [client.function(&namespace, "f").await, client.function(&namespace, "g").await];
    let both = [applications[0].as_str(), applications[1].as_str()];
    let counted = async || {
        let answer = client.get("usage").await;
        let rows = answer.body["usage"].as_array().unwrap().clone();
        rows.iter().map(|row| row["invocations"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let mut expected = 0;
    // Once with rows to make, once with rows to add to.
    for _ in 0..2 {
        killed(&server, "counts_when_told", "usage.add.before", &both).await;
        assert_eq!(counted().await, if expected == 0 { vec![] } else { vec![expected; 2] });
        killed(&server, "counts_when_told", "usage.add.after", &both).await;
        expected += 5;
        assert_eq!(counted().await, [expected; 2]);
        // What comes next is added to it.
        server.state.store.add_usage(&both.map(|one| used(one, 2))).await.unwrap();
        expected += 2;
        assert_eq!(counted().await, [expected; 2]);
    }
}
