//! `zipship deploy DIR`: namespace, function, archive, deploy, in one step, and again for each change.

mod code;
mod follow;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use contract::api::{Function, Namespace};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::registry::wait;
use super::resource::{Found, Remote, Resource as _, Settings, Steps, candidates, until_settled};
use super::upload::upload;
use crate::api::Api;
use crate::local::function::name_of;
use crate::local::usage;
use code::Code;

const EXIT_CODES: &str = "The last line of standard output is the function's URL.

Exit codes:
  0  the function answers at its URL with what was deployed
  1  it was not deployed, the cause is on standard error; an older version goes on serving
  2  wrong arguments or files";

/// Makes namespace and function where they are missing, changes what differs, uploads the directory, deploys it, and
/// waits until the function is ready.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Deploy {
    /// The handler's directory.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The function's name [default: the directory's].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The namespace, by name or id; one that is missing is made.
    #[arg(long, short = 'n', value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
    #[command(flatten)]
    code: Code,
    #[command(flatten)]
    settings: Settings,
    /// Print steps and build output as they come.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(crate) fn run(deploy: &Deploy) -> anyhow::Result<ExitCode> {
    let directory = match std::fs::canonicalize(&deploy.directory) {
        Ok(directory) if directory.is_dir() => directory,
        Ok(file) => return usage(format!("{} is no directory", file.display())),
        Err(error) => return usage(format!("{}: {error}", deploy.directory.display())),
    };
    let name = deploy.name.clone().unwrap_or_else(|| name_of(&directory));
    let settings = deploy.settings.body()?;
    let api = deploy.remote.client()?;
    wait(deploy.run(&api, &Project { directory, name, settings }))??;
    Ok(ExitCode::SUCCESS)
}

/// What is deployed.
struct Project {
    directory: PathBuf,
    name: String,
    settings: Map<String, Value>,
}

impl Deploy {
    async fn run(&self, api: &Api, project: &Project) -> anyhow::Result<()> {
        let (begin, steps) = (Instant::now(), Steps::of(&project.name));
        let namespace = candidates::<Namespace>(api, &self.namespace, None).await?.into_iter().next();
        let existing = match &namespace {
            Some(namespace) => candidates::<Function>(api, &project.name, namespace["id"].as_str()).await?,
            None => Vec::new(),
        };
        let existing = existing.into_iter().next();
        // Before anything is made: what is wrong with the directory has nothing to do with the server.
        let mut wanted = self.code.of(&project.directory, existing.as_ref())?;
        wanted.extend(project.settings.clone());
        let found = match existing {
            Some(function) => {
                change(api, &function, wanted).await?;
                function
            }
            None => {
                let namespace = match namespace {
                    Some(namespace) => namespace,
                    None => self.make_namespace(api, &steps).await?,
                };
                wanted.insert("name".to_owned(), project.name.as_str().into());
                wanted.insert("namespace_id".to_owned(), namespace["id"].clone());
                steps.now("creating");
                let made = api.call(Method::POST, Function::LIST, Some(&wanted.into())).await?;
                steps.line(&format!("made the function {}", project.name));
                made
            }
        };
        let id = found["id"].as_str().context("the server's answer has no id")?.to_owned();
        let bytes = upload(api, &id, &project.directory, &steps).await?;
        steps.line(&format!("uploaded {:.1} kB", bytes as f64 / 1e3));
        let found = Found { id, list: Function::LIST };
        let ready = match self.follow {
            true => follow::deploy(api, &found, &steps).await?,
            false => found.deploy(api, &steps).await?,
        };
        let took = begin.elapsed();
        steps.line(&format!("ready after {:.1} s", took.as_secs_f64()));
        drop(steps);
        if self.remote.json {
            let printed = json!({"function": ready, "archive_bytes": bytes, "duration_ms": took.as_millis()});
            return self.remote.tell_json(&printed);
        }
        println!("{}", ready["endpoint"].as_str().unwrap_or_default());
        Ok(())
    }

    async fn make_namespace(&self, api: &Api, steps: &Steps) -> anyhow::Result<Value> {
        let name = &self.namespace;
        steps.now("making the namespace");
        match api.call(Method::POST, Namespace::LIST, Some(&json!({"name": name}))).await {
            Ok(made) => {
                let made = until_settled(api, Namespace::LIST, made, steps).await?;
                steps.line(&format!("made the namespace {name}"));
                Ok(made)
            }
            // Another deploy may have made it meanwhile.
            Err(refused) => {
                let found = candidates::<Namespace>(api, name, None).await?;
                found.into_iter().next().ok_or(refused)
            }
        }
    }
}

/// Writes what differs, for the deploy that follows.
async fn change(api: &Api, function: &Value, wanted: Map<String, Value>) -> anyhow::Result<()> {
    let mut body: Map<String, Value> =
        wanted.into_iter().filter(|(name, value)| function.get(name) != Some(value)).collect();
    if body.is_empty() {
        return Ok(());
    }
    body.insert("redeploy".to_owned(), false.into());
    let id = function["id"].as_str().context("the server's answer has no id")?;
    api.call(Method::PATCH, &format!("{}/{id}", Function::LIST), Some(&body.into())).await?;
    Ok(())
}
