//! A taint test: what is secret is asked for, sent and deployed everywhere, things fail, and then it is looked for where
//! it must not be: logs, the store, files, images, answers to others, errors, arguments and environments of processes.
//!
//! Where it may be, and nothing else:
//! - variables, tokens and presigned URLs: in answers that succeed, to the organization that they belong to;
//! - variables: in the environment of the instance that they are for (user 1000), and in what its code answers;
//! - the keys that seal: in `server/secret.key`; the first API key: in `server/credentials.json`.

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
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::{Answer, Container, Function, Place, Server, Spec, Zip};

use routes::{Caller, Told};
use search::{Search, Secret, Seen};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const PRIVATE: Spec<'_> = Spec { privacy: "private", ..NODE };
/// Files that may hold a secret: the keys, and the first API key.
const KEEPERS: [&str; 2] = ["server/secret.key", "server/credentials.json"];
/// PKCS#8 of RSA, from the version to where the private key begins: in every private key of a namespace.
const PRIVATE_KEY: &[u8] = b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04";

struct World {
    server: Server,
    /// Another organization's key.
    stranger: String,
    ids: BTreeMap<&'static str, String>,
    /// Secrets that are of our own choosing.
    markers: BTreeMap<&'static str, String>,
    secrets: Vec<Secret>,
    told: Vec<Told>,
    /// What was there before there were secrets, and is as it was.
    before: BTreeSet<(PathBuf, SystemTime)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_nowhere_but_where_it_belongs() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    world.live().await?;
    world.fail().await?;
    world.rotate()?;
    let operations = world.ask_everything().await?;
    assert!(operations >= 30, "{operations}");
    world.kept_nowhere()?;
    world.finds_what_is_planted()?;
    world.server.stop()
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let mut server = Server::at_fixed_port()?;
        server.launch(&[("ZIPSHIP_LOG_LEVEL", "debug")])?;
        let before =
            files(&server.data()).into_iter().filter_map(|path| Some((path.clone(), changed(&path)?)));
        let before = before.collect();
        let mut markers = BTreeMap::new();
        let mut secrets = vec![
            Secret::new("the first API key", Seen::Never, server.api().key().as_bytes()),
            Secret::new("a private key", Seen::Never, PRIVATE_KEY),
            Secret::new("a private key in PEM", Seen::Never, b"-----BEGIN PRIVATE KEY"),
        ];
        for (name, seen) in [
            ("variables of a namespace", Seen::ByItsOwner),
            ("variables of a function", Seen::ByItsOwner),
            ("variables of a container", Seen::ByItsOwner),
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

    /// Everything with variables, made and called: what serves, tokens, URLs.
    async fn live(&mut self) -> anyhow::Result<()> {
        let api = self.server.api().clone();
        let variables = |name: &str| json!({"MARKED": self.markers[name]});
        let body = json!({"name": "taint", "environment_variables": variables("variables of a namespace")});
        let made = api.post("namespaces", &body).await?.expect(200);
        let namespace = made["id"].as_str().context("an id")?.to_owned();
        let function = Function::create_in(&api, &namespace, NODE).await?;
        let private = Function::create_in(&api, &namespace, PRIVATE).await?;
        let own = json!({"environment_variables": variables("variables of a function")});
        for id in [&function.id, &private.id] {
            let _ = api.patch(&format!("functions/{id}"), &own).await?.expect(200);
        }
        let fields = json!({"environment_variables": variables("variables of a container")});
        let container = Container::create(&api, &namespace, "taint", &fields).await?;
        let code = Zip::of("handler.js", "exports.handle = async () => process.env.MARKED;");
        function.redeploy(&code).await?;
        private.redeploy(&code).await?;
        assert_eq!(function.call().await?.text(), self.markers["variables of a function"]);
        let cron = json!({"application_id": function.id, "schedule": "@yearly"});
        let cron = api.post("crons", &cron).await?.expect(200)["id"].as_str().context("an id")?.to_owned();

        let issued = api.get(&format!("jwt/issue?function_id={}", private.id)).await?.expect(200);
        let token = issued["token"].as_str().context("a token")?;
        let called =
            Answer::of(private.request(Method::GET, "/").header("SCW-Functions-Token", token)).await?;
        assert_eq!(called.status, 200, "{}", called.text());
        let signature = token.rsplit('.').next().context("a signature")?;
        self.secrets.push(Secret::new(
            "signature of a function token",
            Seen::ByItsOwner,
            signature.as_bytes(),
        ));
        let wrong = &self.markers["a wrong function token"];
        for token in [wrong.clone(), format!("{token}{wrong}")] {
            let request = private.request(Method::GET, "/").header("SCW-Functions-Token", token);
            self.told.push(Told {
                what: "a wrong token".into(),
                caller: Caller::Nobody,
                answer: Answer::of(request).await?,
            });
        }

        let url = function.upload_url(3).await?;
        let signature = url.rsplit('=').next().context("a signature")?;
        self.secrets.push(Secret::new("signature of a URL", Seen::ByItsOwner, signature.as_bytes()));
        for bytes in [&b"zipzip"[..], b"zip", b"zip"] {
            let answer = function.put(&url, bytes).await?;
            self.told.push(Told { what: "an upload".into(), caller: Caller::Nobody, answer });
        }
        self.ids = BTreeMap::from([
            ("namespace_id", namespace),
            ("function_id", function.id),
            ("container_id", container.id),
            ("cron_id", cron),
            ("registry_namespace_id", made["registry_namespace_id"].as_str().unwrap_or_default().to_owned()),
        ]);
        // While instances run.
        let found: Vec<_> =
            self.in_processes(&Search::new(&self.secrets)).into_iter().map(|(_, told)| told).collect();
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    }

    /// Deploys that fail, credentials that are wrong, a server that dies.
    async fn fail(&mut self) -> anyhow::Result<()> {
        let api = self.server.api().clone();
        let namespace = self.ids["namespace_id"].clone();
        let failing = Function::create_in(&api, &namespace, NODE).await?;
        for archive in [
            b"no zip".to_vec(),
            Zip::of("other.js", "").bytes(),
            Zip::of("handler.js", "throw new Error('at import')").bytes(),
            Zip::of("handler.js", "process.exit(3)").bytes(),
        ] {
            failing.upload(&archive).await?;
            assert_eq!(failing.deploy().await?["status"], "error");
            let path = format!("/functions/v1alpha2/regions/fr-par/functions/{}", failing.id);
            self.ask(Caller::Owner, Method::GET, &path, None).await?;
        }
        // A container without an image.
        let path =
            format!("/functions/v1alpha2/regions/fr-par/containers/{}/deploy", self.ids["container_id"]);
        self.ask(Caller::Owner, Method::POST, &path, Some("{}".into())).await?;

        let (wrong, password) = (
            self.markers["a wrong API key"].clone(),
            self.markers["a wrong password of the registry"].clone(),
        );
        let answer = api.with_key(&wrong).get("namespaces").await?;
        self.told.push(Told { what: "a wrong key".into(), caller: Caller::Nobody, answer });
        for path in ["/v2/", "/v2/taint/f/manifests/latest", "/v2/_catalog"] {
            for (user, password, caller) in [
                ("any", password.as_str(), Caller::Nobody),
                ("any", api.key(), Caller::Owner),
                (password.as_str(), self.stranger.as_str(), Caller::Another),
            ] {
                let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                let request = api.request(Method::GET, &format!("{}{path}", api.url()));
                let answer = Answer::of(request.header("Authorization", basic)).await?;
                self.told.push(Told { what: path.into(), caller, answer });
            }
        }
        for path in ["/metrics", "/healthz", "/readyz"] {
            self.ask(Caller::Nobody, Method::GET, path, None).await?;
        }
        self.server.kill_api()?;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while api.get("namespaces").await.is_err() {
            ensure!(std::time::Instant::now() < deadline, "the server does not come back");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn rotate(&mut self) -> anyhow::Result<()> {
        let rotated = self.zipship(&["secrets", "rotate", "--json"])?;
        assert!(rotated["resealed"].as_u64().unwrap_or_default() > 4, "{rotated}");
        self.add_master_keys()
    }

    fn kept_nowhere(&self) -> anyhow::Result<()> {
        let search = Search::new(&self.secrets);
        let mut found = Vec::new();
        for told in &self.told {
            let succeeded = told.answer.status < 400;
            found.extend(search.of(&told.what, &told.bytes()).into_iter().filter(|(secret, _)| {
                match secret.seen {
                    Seen::ByItsOwner => !succeeded || told.caller != Caller::Owner,
                    Seen::ByItsSender => !succeeded,
                    Seen::Never => true,
                }
            }));
        }
        found.extend(search.of("the log", self.server.log().as_bytes()));
        let kept = self.kept();
        let has = |part: &str| kept.iter().any(|path| path.to_string_lossy().contains(part));
        ensure!(has("server/archives/") || has("taint") || has("registry/blobs/sha256/"), "{kept:?}");
        ensure!(has("zipship.db"), "{kept:?}");
        for path in &kept {
            // One may go meanwhile.
            let Ok(bytes) = fs::read(path) else { continue };
            let place = path.display().to_string();
            found.extend(search.of(&place, &bytes));
            found.extend(search.of("the name of a file", place.as_bytes()));
        }
        found.extend(self.in_processes(&search));
        let found: Vec<_> = found.into_iter().map(|(_, told)| told).collect();
        ensure!(found.is_empty(), "secrets leaked:\n{}", found.join("\n"));
        Ok(())
    }

    /// Files that came or changed since the start, but those that keep secrets. What of the bases was unpacked since
    /// is none of them: layers of megabytes, in which nothing of a function is.
    fn kept(&self) -> Vec<PathBuf> {
        let layers = self.server.data().join("launcher/layers");
        let of_base = |layer: &Path| {
            let bytes = files(layer).into_iter().filter_map(|path| Some(fs::metadata(path).ok()?.len()));
            bytes.sum::<u64>() > 1 << 20
        };
        let layers = fs::read_dir(layers).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let of_bases: Vec<_> = layers.filter(|layer| of_base(layer)).collect();
        let kept = files(&self.server.data()).into_iter().filter(|path| {
            let is_new = changed(path).is_none_or(|at| !self.before.contains(&(path.clone(), at)));
            let is_base = of_bases.iter().any(|layer| path.starts_with(layer));
            is_new && !is_base && !KEEPERS.iter().any(|keeper| path.ends_with(keeper))
        });
        kept.collect()
    }

    /// Arguments and environments of all processes but those of instances.
    fn in_processes<'a>(&self, search: &Search<'a>) -> Vec<(&'a Secret, String)> {
        let mut found = Vec::new();
        for pid in self.server.all_processes() {
            let of = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let status = String::from_utf8_lossy(&of("status")).into_owned();
            if !status.lines().any(|line| line.starts_with("Uid:\t1000\t")) {
                found.extend(search.of(&format!("process {pid}"), &["cmdline", "environ"].map(of).concat()));
            }
        }
        found
    }

    /// That the search would have found something: the log with one line more.
    fn finds_what_is_planted(&self) -> anyhow::Result<()> {
        let (scratch, search) = (tempfile::tempdir()?, Search::new(&self.secrets));
        let copy = scratch.path().join("log");
        for (name, marker) in &self.markers {
            let hex: String = marker.bytes().map(|byte| format!("{byte:02x}")).collect();
            for leak in [
                marker.clone(),
                STANDARD.encode(format!("x:{marker}")),
                hex,
                format!("{:?}", marker.as_bytes()),
            ] {
                fs::write(&copy, format!("{}leak={leak}\n", self.server.log()))?;
                let found = search.of("the scratch log", &fs::read(&copy)?);
                ensure!(found.len() == 1 && found[0].0.name == *name, "{name} was not found: {leak}");
            }
        }
        Ok(())
    }
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

fn uuid() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    text.trim().replace('-', "")
}
