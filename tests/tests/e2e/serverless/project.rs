//! A project of the Serverless Framework as a user has it: its files, and the plugin in its `node_modules`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use zipship_tests::{Api, Place};

const PLUGIN: &str = "serverless-scaleway-functions";
const REGION: &str = "/functions/v1alpha2/regions/fr-par";

/// A project in a folder of its own, and the server that it deploys to.
pub(super) struct Project {
    folder: TempDir,
    api: Api,
    framework: PathBuf,
}

impl Project {
    /// The project `name` of `tests/clients/serverless/projects`.
    pub(super) fn of(name: &str, api: &Api) -> anyhow::Result<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/serverless/projects").join(name);
        let installed = Place::find()?.existing("ZIPSHIP_CLIENTS")?.join("serverless/node_modules");
        let folder = tempfile::Builder::new().prefix("zipship-serverless-").tempdir()?;
        copy(&sources, folder.path())?;
        install_plugin(&installed, &folder.path().join("node_modules"))?;
        let framework = installed.join("serverless/bin/serverless.js");
        Ok(Self { folder, api: api.clone(), framework })
    }

    /// Path of one of its files.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `serverless` with these arguments; answers all that it printed.
    ///
    /// # Errors
    /// When it fails; the message carries what it printed.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("node")
            .arg(&self.framework)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("SCW_URL", format!("{}{REGION}", self.api.url()))
            .env("SCW_TOKEN", self.api.key())
            .env("SCW_ORGANIZATION", self.api.organization())
            // Nothing of it goes anywhere else.
            .envs([("SLS_TELEMETRY_DISABLED", "1"), ("SLS_NOTIFICATIONS_MODE", "off"), ("CI", "1")])
            .env("HOME", self.folder.path())
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .context("running node")?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("serverless {} ended with {}:\n{said}", arguments.join(" "), output.status);
        }
        Ok(said)
    }
}

/// The plugin finds the archive by its own place, so it is copied; what it needs is linked.
fn install_plugin(installed: &Path, modules: &Path) -> anyhow::Result<()> {
    copy(&installed.join(PLUGIN), &modules.join(PLUGIN))?;
    for entry in fs::read_dir(installed).with_context(|| installed.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let is_package = !name.to_string_lossy().starts_with('.');
        if is_package && name != PLUGIN && name != "serverless" {
            symlink(entry.path(), modules.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
