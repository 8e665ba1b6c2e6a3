//! Where the programs lie that are measured, and how those in Go come about.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use zipship_tests::Place;

pub(super) struct Places {
    pub(super) shim: PathBuf,
    pub(super) workers: PathBuf,
    pub(super) node: PathBuf,
    pub(super) python: PathBuf,
    go: PathBuf,
    peers: PathBuf,
    /// Compiled programs and the shim's code directories.
    scratch: TempDir,
}

impl Places {
    pub(super) fn find() -> anyhow::Result<Self> {
        let place = Place::find()?;
        let interpreters = place.existing("ZIPSHIP_INTERPRETERS")?;
        let places = Self {
            shim: place.existing("ZIPSHIP_SHIM")?,
            workers: place.existing("ZIPSHIP_WORKERS")?,
            node: interpreters.join("node24/bin/node"),
            python: interpreters.join("python311/bin/python"),
            go: place.existing("ZIPSHIP_GO_ROOT")?.join("bin/go"),
            peers: place.existing("ZIPSHIP_PEERS")?,
            scratch: tempfile::Builder::new().prefix("zipship-bench-").tempdir()?,
        };
        for program in [&places.node, &places.python, &places.go] {
            ensure!(program.exists(), "{} is missing: run scripts/setup bench", program.display());
        }
        Ok(places)
    }

    /// A file of `bench/programs`.
    pub(super) fn program(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/programs")).join(name)
    }

    /// Something that set-up installed of a peer; the reason why not, for its row.
    pub(super) fn peer(&self, path: &str) -> Result<PathBuf, String> {
        let path = self.peers.join(path);
        path.exists().then_some(path).ok_or_else(|| "set-up could not install it".to_owned())
    }

    pub(super) fn code(&self) -> &Path {
        self.scratch.path()
    }

    /// Compiles a program of `bench/programs`, as the builder does: once.
    pub(super) fn compiled(&self, name: &str) -> anyhow::Result<PathBuf> {
        let program = self.scratch.path().join(name);
        if program.exists() {
            return Ok(program);
        }
        let built = Command::new(&self.go)
            .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(Self::program(name))
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "")
            .env_remove("GOROOT")
            .output()
            .context("running the Go toolchain")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Ok(program)
    }
}
