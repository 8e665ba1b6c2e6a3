//! `zipship function`: functions of a server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use contract::api::Function;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::registry::wait;
use super::resource::{
    Action, Changes, Fields, InNamespace, Remote, Resource, Settings, Spaces, Steps, cell, find, privacy,
    require_namespace, said, status, until_settled, variables,
};
use super::upload::upload;
use crate::api::Api;

/// A function is a handler in an archive; it answers at its URL once it is deployed. `zipship deploy DIR` does all of
/// this in one step.
#[derive(Debug, Args)]
pub(crate) struct FunctionCommand {
    #[command(subcommand)]
    action: FunctionAction,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum FunctionAction {
    #[command(flatten)]
    Common(Box<Action<InNamespace, Written, Changed>>),
    /// Uploads an archive for the next deploy.
    Upload {
        /// The function's name or id.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
        /// The archive, or a directory to make one of.
        #[arg(value_name = "ZIP")]
        archive: PathBuf,
        #[command(flatten)]
        scope: InNamespace,
    },
    /// Deploys the archive last uploaded, and waits until the function is ready or the deploy has failed.
    Deploy {
        /// The function's name or id.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
        #[command(flatten)]
        scope: InNamespace,
    },
}

#[derive(Debug, Args)]
struct Code {
    /// Such as node22, python311 or golang.
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// path/file.function; for Go the directory of package main [default: handler.handle; Go: .].
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,
}

#[derive(Debug, Args)]
struct Written {
    #[command(flatten)]
    code: Code,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Changed {
    #[command(flatten)]
    written: Written,
    #[command(flatten)]
    changes: Changes,
}

pub(crate) fn run(command: &FunctionCommand) -> anyhow::Result<ExitCode> {
    let api = command.remote.client()?;
    wait(command.run(&api))??;
    Ok(ExitCode::SUCCESS)
}

impl FunctionCommand {
    async fn run(&self, api: &Api) -> anyhow::Result<()> {
        match &self.action {
            FunctionAction::Common(action) => {
                if let Action::Create { scope, .. } = &**action {
                    require_namespace(scope)?;
                }
                action.run::<Function>(&self.remote, api).await
            }
            FunctionAction::Upload { which, archive, scope } => {
                let found = find::<Function>(api, which, scope.namespace.as_deref()).await?;
                let bytes = upload(api, &found.id, archive, &Steps::of(which)).await?;
                if self.remote.json {
                    return self.remote.tell_json(&json!({"function_id": found.id, "bytes": bytes}));
                }
                println!("uploaded {bytes} bytes for {}", found.id);
                Ok(())
            }
            FunctionAction::Deploy { which, scope } => {
                let found = find::<Function>(api, which, scope.namespace.as_deref()).await?;
                let ready = found.deploy(api, &Steps::of(which)).await?;
                self.remote.tell::<Function>(api, &ready).await
            }
        }
    }
}

impl super::resource::Found {
    /// Deploys what is there to be deployed, and waits for the end.
    pub(super) async fn deploy(&self, api: &Api, steps: &Steps) -> anyhow::Result<Value> {
        let path = format!("{}/{}/deploy", self.list, self.id);
        let answer = api.call(Method::POST, &path, Some(&json!({}))).await?;
        until_settled(api, self.list, answer, steps).await
    }
}

impl Fields for Written {
    fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let mut body = self.settings.body()?;
        body.extend(said([
            ("runtime", self.code.runtime.clone().map(Value::from)),
            ("handler", self.code.handler.clone().map(Value::from)),
        ]));
        Ok(body)
    }
}

impl Fields for Changed {
    fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let mut body = self.written.body()?;
        body.extend(self.changes.body());
        Ok(body)
    }
}

impl Resource for Function {
    const NAME: &'static str = "function";
    const LIST: &'static str = "functions";
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "namespace", "status", "runtime", "memory", "privacy", "url"];

    fn row(self, spaces: &Spaces) -> Vec<String> {
        vec![
            self.id,
            self.name,
            spaces.name(&self.namespace_id),
            status(self.status).to_owned(),
            self.runtime,
            format!("{} MB", self.memory_limit),
            privacy(self.privacy).to_owned(),
            self.endpoint,
        ]
    }

    fn lines(self, spaces: &Spaces) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("id", self.id),
            ("name", self.name),
            ("namespace", spaces.name(&self.namespace_id)),
            ("status", status(self.status).to_owned()),
            ("runtime", self.runtime),
            ("handler", self.handler),
            ("memory", format!("{} MB, {} thousandths of a core", self.memory_limit, self.cpu_limit)),
            ("timeout", format!("{} ms", self.timeout)),
            ("scale", format!("{} to {}", self.min_scale, self.max_scale)),
            ("privacy", privacy(self.privacy).to_owned()),
            ("variables", variables(&self.environment_variables)),
            ("region", self.region),
        ];
        lines.extend(
            self.description.filter(|text| !text.is_empty()).map(|text| ("description", cell(&text))),
        );
        if !self.error_message.is_empty() {
            lines.push(("error", cell(&self.error_message)));
        }
        lines.push(("url", self.endpoint));
        lines
    }
}
