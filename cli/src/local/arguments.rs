//! The arguments that `invoke --local` and `dev` share, and the functions that they mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::environment::{Sources, given};
use super::function::{Function, Wishes, duration, name_of};
use super::serverless::{self, Declared};
use super::{plan::Programs, usage};

/// What is run, and with what.
#[derive(Debug, Args)]
pub(crate) struct LocalArguments {
    /// The runtime, such as node22, python311 or golang [default: found out from the files].
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// The handler, as at deploy: path/file.function; for Go the directory of package main [default: handler.handle; Go: .].
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,
    /// Only this function of serverless.yml; repeatable.
    #[arg(long = "function", value_name = "NAME")]
    functions: Vec<String>,
    /// A variable for the function; NAME alone passes this terminal's value on; repeatable.
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// A file of such lines; repeatable, later ones win.
    #[arg(long = "env-file", value_name = "FILE")]
    environment_files: Vec<PathBuf>,
    /// As a private function: callers need a token, which is made and shown.
    #[arg(long)]
    private: bool,
    /// One invocation's limit: 1500, 1500ms or 2s [default: 300s].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// The memory that the handler's context tells; it is not enforced [default: 256].
    #[arg(long, value_name = "MB")]
    memory: Option<u32>,
    /// Invocations at once [default: by language, as when deployed].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrency: Option<u32>,
    /// The node or python to run with, or the go to compile with [default: from the PATH].
    #[arg(long, value_name = "FILE")]
    pub(crate) interpreter: Option<PathBuf>,
    /// The shim [default: the one in this binary, where cargo builds it, or beside the executable].
    #[arg(long, value_name = "FILE")]
    shim: Option<PathBuf>,
    /// Folder with the worker programs per language [default: as the shim].
    #[arg(long, value_name = "DIR")]
    workers: Option<PathBuf>,
}

/// The functions of a directory.
pub(crate) struct Chosen {
    /// At least one.
    pub(crate) functions: Vec<Function>,
    /// Whether they come from serverless.yml, and so have names of their own.
    pub(crate) declared: bool,
    /// What the user should know of.
    pub(crate) warnings: Vec<String>,
}

impl LocalArguments {
    /// The shim and the worker programs.
    pub(crate) fn programs(&self) -> anyhow::Result<Programs> {
        let shim = crate::programs::shim(self.shim.as_deref())?;
        Ok(Programs { shim, workers: crate::programs::workers(self.workers.as_deref())? })
    }

    /// The functions of a directory: those of its serverless.yml, or the one that the arguments name.
    pub(crate) fn functions(&self, directory: &Path) -> anyhow::Result<Chosen> {
        let directory = match std::fs::canonicalize(directory) {
            Ok(directory) if directory.is_dir() => directory,
            Ok(_) => return usage(format!("{} is no directory", directory.display())),
            Err(error) => return usage(format!("{}: {error}", directory.display())),
        };
        let mut warnings = Vec::new();
        if self.handler.is_none()
            && let Some(file) = serverless::read(&directory)?
        {
            warnings.extend(file.warnings);
            if !file.functions.is_empty() {
                let functions = self.declared(&directory, file.functions)?;
                return Ok(Chosen { functions, declared: true, warnings });
            }
        }
        if let Some(name) = self.functions.first() {
            return usage(format!(
                "--function {name}: there is no serverless.yml with functions in {}",
                directory.display()
            ));
        }
        let function = Function::new(name_of(&directory), directory, self.wishes(Sources::default())?)?;
        Ok(Chosen { functions: vec![function], declared: false, warnings })
    }

    fn declared(&self, directory: &Path, declared: Vec<Declared>) -> anyhow::Result<Vec<Function>> {
        let names: Vec<String> = declared.iter().map(|one| one.name.clone()).collect();
        if let Some(unknown) = self.functions.iter().find(|name| !names.contains(name)) {
            return usage(format!("--function {unknown}: serverless.yml has {}", names.join(", ")));
        }
        let wanted = |one: &Declared| self.functions.is_empty() || self.functions.contains(&one.name);
        declared.into_iter().filter(wanted).map(|one| self.function(directory, one)).collect()
    }

    /// The arguments win over the file.
    fn function(&self, directory: &Path, one: Declared) -> anyhow::Result<Function> {
        let asked = self.wishes(Sources { declared: one.environment, ..Sources::default() })?;
        let wishes = Wishes {
            runtime: asked.runtime.or(one.runtime),
            handler: Some(one.handler),
            private: asked.private || one.private,
            timeout: asked.timeout.or(one.timeout),
            memory_mb: asked.memory_mb.or(one.memory_mb),
            max_concurrency: asked.max_concurrency.or(one.max_concurrency),
            ..asked
        };
        Function::new(one.name, directory.to_owned(), wishes)
    }

    fn wishes(&self, environment: Sources) -> anyhow::Result<Wishes> {
        let environment = Sources {
            files: self.environment_files.clone(),
            given: given(&self.environment)?,
            ..environment
        };
        // Wrong variables are told now, not at the first start.
        environment.read()?;
        Ok(Wishes {
            runtime: self.runtime.clone(),
            handler: self.handler.clone(),
            environment,
            private: self.private,
            timeout: self.timeout,
            memory_mb: self.memory,
            max_concurrency: self.max_concurrency,
        })
    }
}
