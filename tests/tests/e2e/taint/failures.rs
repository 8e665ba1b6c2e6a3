//! What fails: deploys, credentials, bases, a push, the disk, the database, the server.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::json;
use zipship_tests::{Answer, Function, Place, Spec, Zip};

use super::{
    NODE, World, files,
    routes::{Caller, Told},
};

const OTHER_BASE: Spec<'_> = Spec { runtime: "node24", ..NODE };
const PATIENCE: Duration = Duration::from_secs(60);

/// The files of a base's layers and of what describes them, by digest.
fn blobs_of_base(base: &str) -> anyhow::Result<Vec<PathBuf>> {
    let all = files(&Place::find()?.existing("ZIPSHIP_IMAGES")?.join(base));
    Ok(all.into_iter().filter(|path| path.to_string_lossy().contains("/blobs/")).collect())
}

fn bytes(files: &[PathBuf]) -> anyhow::Result<u64> {
    files.iter().map(|file| Ok(fs::metadata(file)?.len())).sum()
}

/// Megabytes of a namespace: a base has room in it, and little else.
pub(super) fn quota() -> anyhow::Result<u64> {
    let largest = bytes(&blobs_of_base("node10")?)?.max(bytes(&blobs_of_base("node24")?)?);
    Ok(largest.div_ceil(1_000_000) + 1)
}

/// Waits for something.
pub(super) async fn until(
    what: &str,
    mut holds: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await? {
        ensure!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn path_of(function: &Function) -> String {
    format!("/functions/v1alpha2/regions/fr-par/functions/{}", function.id)
}

impl World {
    pub(super) async fn fail(&mut self) -> anyhow::Result<()> {
        let interrupted = self.the_database_fails().await?;
        self.deploys_fail().await?;
        self.credentials_are_wrong().await?;
        self.a_push_is_refused().await?;
        self.a_base_is_wrong().await?;
        self.the_disk_is_full().await?;
        // The next one need not wait for the lease of the deploy that was cut off.
        self.server_dies().await?;
        if let Some(function) = interrupted {
            assert_eq!(function.settled().await?["status"], "ready");
            assert_eq!(function.call().await?.text(), "back");
        }
        Ok(())
    }

    /// A function with variables, in a namespace of its own.
    async fn with_variables(&self, spec: Spec<'_>) -> anyhow::Result<Function> {
        let function = Function::create(self.server.api(), spec).await?;
        let variables = json!({"environment_variables": {"MARKED": self.markers["variables of a function"]}});
        let path = format!("functions/{}", function.id);
        let _ = self.server.api().patch(&path, &variables).await?.expect(200);
        Ok(function)
    }

    /// What its owner is told of a deploy that must fail.
    pub(super) async fn fails(&mut self, function: &Function) -> anyhow::Result<String> {
        let settled = function.deploy().await?;
        ensure!(settled["status"] == "error", "{settled}");
        self.ask(Caller::Owner, Method::GET, &path_of(function), None).await?;
        Ok(settled["error_message"].as_str().context("a cause")?.to_owned())
    }

    async fn deploys_fail(&mut self) -> anyhow::Result<()> {
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
        Ok(())
    }
    async fn credentials_are_wrong(&mut self) -> anyhow::Result<()> {
        let api = self.server.api().clone();
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
        Ok(())
    }
    /// The registry takes no more than the namespace's quota.
    async fn a_push_is_refused(&mut self) -> anyhow::Result<()> {
        let function = self.with_variables(OTHER_BASE).await?;
        let filler: String = (0..70_000).map(|_| super::uuid() + &super::uuid()).collect();
        function.upload(&Zip::of("handler.js", "").file("filler", &filler).bytes()).await?;
        let cause = self.fails(&function).await?;
        ensure!(cause.contains("quota"), "{cause}");
        Ok(())
    }

    /// A layer of a base is damaged in the registry, then gone from there and from the base; then it is put back.
    async fn a_base_is_wrong(&mut self) -> anyhow::Result<()> {
        let shared: Vec<_> = blobs_of_base("node10")?
            .iter()
            .filter_map(|path| path.file_name().map(ToOwned::to_owned))
            .collect();
        let own = blobs_of_base("node24")?.into_iter();
        let own = own.filter(|path| path.file_name().is_some_and(|name| !shared.contains(&name.to_owned())));
        let layer = own.max_by_key(|path| fs::metadata(path).map_or(0, |it| it.len())).context("a layer")?;
        let name = layer.file_name().context("a name")?;
        let of_base = files(&self.server.data().join("images")).into_iter().find(|path| path.ends_with(name));
        let of_registry = files(&self.server.data().join("server/registry/blobs"));
        let of_registry = of_registry.into_iter().find(|path| path.ends_with(name));
        let (of_base, of_registry) = (of_base.context("a copy")?, of_registry.context("another")?);
        let archive = Zip::of("handler.js", "exports.handle = async () => 'whole';").bytes();
        let aside = [&of_base, &of_registry].map(|path| path.with_extension("aside"));
        let mut damaged = fs::read(&layer)?;
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;

        fs::rename(&of_registry, &aside[1])?;
        fs::write(&of_registry, &damaged)?;
        fs::set_permissions(&of_registry, fs::metadata(&aside[1])?.permissions())?;
        let function = self.with_variables(OTHER_BASE).await?;
        function.upload(&archive).await?;
        let cause = self.fails(&function).await?;
        ensure!(cause.contains("the layer can't be unpacked"), "{cause}");

        fs::remove_file(&of_registry)?;
        fs::rename(&of_base, &aside[0])?;
        let function = self.with_variables(OTHER_BASE).await?;
        function.upload(&archive).await?;
        let cause = self.fails(&function).await?;
        ensure!(cause.contains("the image could not be pushed"), "{cause}");

        // As they were, so that nobody takes them for new.
        for (path, aside) in [&of_base, &of_registry].into_iter().zip(&aside) {
            fs::rename(aside, path)?;
        }
        assert_eq!(function.deploy().await?["status"], "ready");
        assert_eq!(function.call().await?.text(), "whole");
        Ok(())
    }

    /// Nothing can be written where the server keeps archives, images, logs and, but for PostgreSQL, its store.
    async fn the_disk_is_full(&mut self) -> anyhow::Result<()> {
        let function = self.with_variables(NODE).await?;
        function.redeploy(&Zip::of("handler.js", "exports.handle = async () => 'before';")).await?;
        assert_eq!(function.call().await?.text(), "before");
        function.upload(&Zip::of("handler.js", "exports.handle = async () => 'after';").bytes()).await?;
        let url = function.upload_url(100_000).await?;
        self.server.fill_disk()?;
        let in_sqlite = self.database.is_none();
        let marked = &self.markers["variables in a request body"];
        let body = json!({"environment_variables": {"A": marked}}).to_string();
        let status = self.ask(Caller::Owner, Method::PATCH, &path_of(&function), Some(body)).await?;
        ensure!((status >= 500) == in_sqlite, "{status}");
        let answer = function.put(&url, &[0; 100_000]).await?;
        ensure!(answer.status >= 500, "{}", answer.text());
        self.told.push(Told { what: "an upload to a full disk".into(), caller: Caller::Nobody, answer });
        let path = format!("{}/deploy", path_of(&function));
        let status = self.ask(Caller::Owner, Method::POST, &path, Some("{}".into())).await?;
        ensure!((status >= 500) == in_sqlite, "{status}");
        if !in_sqlite {
            let settled = function.settled().await?;
            let cause = settled["error_message"].as_str().context("a cause")?;
            ensure!(cause.contains("No space left on device"), "{settled}");
        }
        self.ask(Caller::Owner, Method::GET, &path_of(&function), None).await?;
        assert_eq!(function.call().await?.text(), "before");
        self.server.free_disk()?;
        assert_eq!(function.deploy().await?["status"], "ready");
        assert_eq!(function.call().await?.text(), "after");
        Ok(())
    }

    async fn server_dies(&mut self) -> anyhow::Result<()> {
        let page = format!("http://{}/metrics", self.metrics);
        let answer = Answer::of(self.server.api().request(Method::GET, &page)).await?;
        ensure!(answer.text().contains("zipship_"), "{}", answer.text());
        self.told.push(Told { what: "the metrics".into(), caller: Caller::Nobody, answer });
        let api = self.server.api().clone();
        self.server.kill_api()?;
        until("the server comes back", async || Ok(api.get("namespaces").await.is_ok())).await
    }
}
