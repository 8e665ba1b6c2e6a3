//! `zipship namespace`: namespaces of a server.

use std::process::ExitCode;

use clap::Args;
use contract::api::{Namespace, NamespaceStatus};
use serde_json::{Map, Value};

use super::registry::wait;
use super::resource::{
    Action, Environment, Everywhere, Fields, Remote, Resource, Spaces, cell, said, variables,
};

/// A namespace holds functions and containers; what is in its variables is in theirs too.
#[derive(Debug, Args)]
pub(crate) struct NamespaceCommand {
    #[command(subcommand)]
    action: Action<Everywhere, Written, Changed>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
struct Written {
    #[command(flatten)]
    environment: Environment,
    /// Free text.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Debug, Args)]
struct Changed {
    #[command(flatten)]
    fields: Written,
    /// Take all variables away; --env and --env-file replace all of them.
    #[arg(long, conflicts_with_all = ["given", "files"])]
    no_env: bool,
}

pub(crate) fn run(command: &NamespaceCommand) -> anyhow::Result<ExitCode> {
    let api = command.remote.client()?;
    wait(command.action.run::<Namespace>(&command.remote, &api))??;
    Ok(ExitCode::SUCCESS)
}

impl Fields for Written {
    fn body(&self) -> anyhow::Result<Map<String, Value>> {
        Ok(said([
            ("environment_variables", self.environment.read()?),
            ("description", self.description.clone().map(Value::from)),
        ]))
    }
}

impl Fields for Changed {
    fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let mut body = self.fields.body()?;
        body.extend(said([("environment_variables", self.no_env.then(|| Map::new().into()))]));
        Ok(body)
    }
}

impl Resource for Namespace {
    const NAME: &'static str = "namespace";
    const LIST: &'static str = "namespaces";
    const COLUMNS: &'static [&'static str] = &["id", "name", "status", "registry"];

    fn row(self, _: &Spaces) -> Vec<String> {
        vec![self.id, self.name, status(self.status).to_owned(), self.registry_endpoint]
    }

    fn lines(self, _: &Spaces) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("id", self.id),
            ("name", self.name),
            ("status", status(self.status).to_owned()),
            ("registry", self.registry_endpoint),
            ("organization", self.organization_id),
            ("region", self.region),
            ("variables", variables(&self.environment_variables)),
            ("description", cell(&self.description.unwrap_or_default())),
        ];
        lines.retain(|(name, value)| *name != "description" || !value.is_empty());
        if !self.error_message.is_empty() {
            lines.push(("error", cell(&self.error_message)));
        }
        lines
    }
}

fn status(status: NamespaceStatus) -> &'static str {
    match status {
        NamespaceStatus::Creating => "creating",
        NamespaceStatus::Ready => "ready",
        NamespaceStatus::Deleting => "deleting",
        NamespaceStatus::Error => "error",
        NamespaceStatus::Locked => "locked",
        NamespaceStatus::Pending => "pending",
    }
}
