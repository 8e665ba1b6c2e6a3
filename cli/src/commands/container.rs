//! `zipship container`: containers of a server.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use contract::api::Container;
use serde_json::{Map, Value};

use super::registry::wait;
use super::resource::{
    Action, Changes, Fields, InNamespace, Remote, Resource, Settings, Spaces, Steps, cell, find, privacy,
    require_namespace, said, status, variables,
};
use crate::api::Api;

/// A container runs an image of one's own, which was pushed to the namespace's registry.
#[derive(Debug, Args)]
pub(crate) struct ContainerCommand {
    #[command(subcommand)]
    action: ContainerAction,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum ContainerAction {
    #[command(flatten)]
    Common(Box<Action<InNamespace, Written, Changed>>),
    /// Deploys the image that its name stands for now, and waits until the container is ready or the deploy has failed.
    Deploy {
        /// The container's name or id.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
        #[command(flatten)]
        scope: InNamespace,
    },
}

#[derive(Debug, Args)]
struct Written {
    /// The image to run [default: <the namespace's registry>/<name>:latest].
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
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

pub(crate) fn run(command: &ContainerCommand) -> anyhow::Result<ExitCode> {
    let api = command.remote.client()?;
    wait(command.run(&api))??;
    Ok(ExitCode::SUCCESS)
}

impl ContainerCommand {
    async fn run(&self, api: &Api) -> anyhow::Result<()> {
        match &self.action {
            ContainerAction::Common(action) => {
                if let Action::Create { scope, .. } = &**action {
                    require_namespace(scope)?;
                }
                action.run::<Container>(&self.remote, api).await
            }
            ContainerAction::Deploy { which, scope } => {
                let found = find::<Container>(api, which, scope.namespace.as_deref()).await?;
                let ready = found.deploy(api, &Steps::of(which)).await?;
                self.remote.tell::<Container>(api, &ready).await
            }
        }
    }
}

impl Fields for Written {
    fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let mut body = self.settings.body()?;
        body.extend(said([("registry_image", self.image.clone().map(Value::from))]));
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

impl Resource for Container {
    const NAME: &'static str = "container";
    const LIST: &'static str = "containers";
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "namespace", "status", "memory", "privacy", "image", "url"];

    fn row(self, spaces: &Spaces) -> Vec<String> {
        vec![
            self.id,
            self.name,
            spaces.name(&self.namespace_id),
            status(self.status).to_owned(),
            format!("{} MB", self.memory_limit),
            privacy(self.privacy).to_owned(),
            self.registry_image,
            self.endpoint,
        ]
    }

    fn lines(self, spaces: &Spaces) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("id", self.id),
            ("name", self.name),
            ("namespace", spaces.name(&self.namespace_id)),
            ("status", status(self.status).to_owned()),
            ("image", self.registry_image),
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
