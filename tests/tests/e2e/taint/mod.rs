//! A taint test: what is secret is asked for, sent and deployed everywhere, things fail, and then it is looked for where
//! it must not be: logs, the store, files, images, answers to others, errors, metrics, arguments and environments of
//! processes. Once with the store in SQLite, once in PostgreSQL.
//!
//! Where it may be, and nothing else:
//! - variables, tokens and presigned URLs: in answers that succeed, to the organization that they belong to;
//! - variables: in the environment of the instance that they are for (user 1000), and in what its code answers;
//! - what code itself prints and throws ([`Seen::SaidByItsCode`]): in its application's log, which its owner reads, and in
//!   what it answers to its callers. What the platform says of a failure of code is the platform's: there it is nowhere;
//! - the keys that seal: in `server/secret.key`; the first API key: in `server/credentials.json`.

mod code;
mod database;
mod failures;
mod kept;
mod live;
mod routes;
mod search;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use zipship_tests::{Place, Server, Spec, free_port};

use database::Database;
use routes::Told;
use search::{Secret, Seen};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const PRIVATE: Spec<'_> = Spec { privacy: "private", ..NODE };
/// Files that may hold a secret: the keys, and the first API key.
const KEEPERS: [&str; 2] = ["server/secret.key", "server/credentials.json"];
/// PKCS#8 of RSA, from the version to where the private key begins: in every private key of a namespace.
const PRIVATE_KEY: &[u8] = b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04";
/// Two bases, a function's image or two of each, and the store.
const DISK_MB: u32 = 512;
/// Files as they were: path and time of the last change.
type Before = BTreeSet<(PathBuf, SystemTime)>;

struct World {
    server: Server,
    /// Where the store is, when it is not in the server's own directory.
    database: Option<Database>,
    /// `host:port` of the metrics.
    metrics: String,
    /// Another organization's key.
    stranger: String,
    ids: BTreeMap<&'static str, String>,
    /// Secrets that are of our own choosing.
    markers: BTreeMap<&'static str, String>,
    secrets: Vec<Secret>,
    told: Vec<Told>,
    /// What was there before there were secrets, and is as it was.
    before: Before,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_nowhere_but_where_it_belongs() -> anyhow::Result<()> {
    World::start(None).await?.walk().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_store_in_postgresql_it_is_nowhere_else_either() -> anyhow::Result<()> {
    World::start(Some(Database::start()?)).await?.walk().await
}

impl World {
    async fn walk(mut self) -> anyhow::Result<()> {
        self.live().await?;
        self.code_fails().await?;
        self.fail().await?;
        self.rotate()?;
        let operations = self.ask_everything().await?;
        assert!(operations >= 30, "{operations}");
        self.kept_nowhere()?;
        self.finds_what_is_planted()?;
        self.server.stop()
    }

    async fn start(database: Option<Database>) -> anyhow::Result<Self> {
        let metrics = format!("127.0.0.1:{}", free_port()?);
        let quota = failures::quota()?.to_string();
        let mut arguments = vec!["--metrics-listen", &metrics, "--registry-quota", &quota];
        arguments.extend(database.iter().flat_map(Database::arguments));
        let server = Server::at_fixed_port_with(&arguments)?;
        let mut server = server.with_bases(&["node10", "node24"])?.with_disk(DISK_MB)?;
        server.launch(&[("ZIPSHIP_LOG_LEVEL", "debug")])?;
        let before = files_as_they_are(&server.data());
        let mut markers = BTreeMap::new();
        let mut secrets = vec![
            Secret::new("the first API key", Seen::Never, server.api().key().as_bytes()),
            Secret::new("a private key", Seen::Never, PRIVATE_KEY),
            Secret::new("a private key in PEM", Seen::Never, b"-----BEGIN PRIVATE KEY"),
        ];
        secrets.extend(database.iter().map(Database::password));
        for (name, seen) in [
            ("variables of a namespace", Seen::ByItsOwner),
            ("variables of a function", Seen::ByItsOwner),
            ("variables of a container", Seen::ByItsOwner),
            ("what code says", Seen::SaidByItsCode),
            ("variables in a request body", Seen::ByItsSender),
            ("a wrong API key", Seen::Never),
            ("a wrong function token", Seen::Never),
            ("a wrong password of the registry", Seen::Never),
        ] {
            let marker = format!("taint-{}", uuid());
            secrets.push(Secret::new(name, seen, marker.as_bytes()));
            markers.insert(name, marker);
        }
        let mut world = Self {
            server,
            database,
            metrics,
            stranger: String::new(),
            ids: BTreeMap::new(),
            markers,
            secrets,
            told: Vec::new(),
            before,
        };
        world.add_master_keys()?;
        let made = world.zipship(&["keys", "create", "--new-organization", "--json"])?;
        world.stranger = made["key"].as_str().context("a key")?.to_owned();
        world.secrets.push(Secret::new("another's API key", Seen::Never, world.stranger.as_bytes()));
        Ok(world)
    }

    fn zipship(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
        command.args(arguments).arg("--data").arg(self.server.data());
        command.args(self.database.iter().flat_map(Database::arguments));
        let output = command.output()?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The keys in the key file as it is now, in bytes.
    fn add_master_keys(&mut self) -> anyhow::Result<()> {
        let text = fs::read_to_string(self.server.data().join(KEEPERS[0]))?;
        for line in text.lines().skip(1) {
            let (id, hex) = line.split_once(' ').context("an id and a key")?;
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16))
                .collect::<Result<_, _>>()?;
            self.secrets.push(Secret::new(&format!("key {id} that seals"), Seen::Never, &bytes));
        }
        Ok(())
    }

    fn rotate(&mut self) -> anyhow::Result<()> {
        let rotated = self.zipship(&["secrets", "rotate", "--json"])?;
        assert!(rotated["resealed"].as_u64().unwrap_or_default() > 4, "{rotated}");
        self.add_master_keys()
    }
}

fn files_as_they_are(directory: &Path) -> Before {
    files(directory).into_iter().filter_map(|path| Some((path.clone(), changed(&path)?))).collect()
}

/// All regular files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let below = entries.flat_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    below.collect()
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// Whether a file came or changed since.
fn is_new(path: &Path, before: &Before) -> bool {
    changed(path).is_none_or(|at| !before.contains(&(path.to_owned(), at)))
}

fn uuid() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    text.trim().replace('-', "")
}
