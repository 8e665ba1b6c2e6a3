//! `zipship cron`: crons of a server.

mod show;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use contract::api::Cron;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value};

use super::registry::wait;
use super::resource::{InNamespace, Remote, find_application};
use crate::api::Api;

/// Crons call a function or container whenever their schedule says so, in UTC.
#[derive(Debug, Args)]
pub(crate) struct CronCommand {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a cron.
    Create {
        /// The function or container to call, by name or id.
        #[arg(value_name = "APPLICATION")]
        application: String,
        #[command(flatten)]
        scope: InNamespace,
        #[command(flatten)]
        fields: Fields,
    },
    /// Lists crons.
    List {
        /// Only those of this function or container, by name or id.
        #[arg(long, value_name = "NAME_OR_ID")]
        application: Option<String>,
        #[command(flatten)]
        scope: InNamespace,
    },
    /// Shows a cron and what came of its last call.
    Get {
        /// Its id.
        id: String,
    },
    /// Changes what is named.
    Update {
        /// Its id.
        id: String,
        /// Another function or container to call, by name or id.
        #[arg(long, value_name = "NAME_OR_ID")]
        application: Option<String>,
        #[command(flatten)]
        scope: InNamespace,
        #[command(flatten)]
        fields: Fields,
    },
    /// Deletes a cron.
    Delete {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
struct Fields {
    /// Five fields (minute, hour, day of month, month, day of week), or a name such as @daily.
    #[arg(long, value_name = "EXPRESSION")]
    schedule: Option<String>,
    /// Body of each call: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    args: Option<Map<String, Value>>,
}

pub(crate) fn run(command: &CronCommand) -> anyhow::Result<ExitCode> {
    let api = command.remote.client()?;
    wait(command.run(&api))??;
    Ok(ExitCode::SUCCESS)
}

impl CronCommand {
    async fn run(&self, api: &Api) -> anyhow::Result<()> {
        let one = |id: &str| format!("crons/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
        let answer = match &self.command {
            Command::Create { application, scope, fields } => {
                let body = fields.body(id_of(api, Some(application), scope).await?);
                api.call(Method::POST, "crons", Some(&body)).await?
            }
            Command::List { application, scope } => {
                let id = id_of(api, application.as_ref(), scope).await?;
                let query: String = id.map(|id| format!("application_id={id}&")).into_iter().collect();
                return self.remote.tell_all::<Cron>(api, api.list("crons", &query).await?).await;
            }
            Command::Get { id } => api.call(Method::GET, &one(id), None).await?,
            Command::Update { id, application, scope, fields } => {
                let body = fields.body(id_of(api, application.as_ref(), scope).await?);
                api.call(Method::PATCH, &one(id), Some(&body)).await?
            }
            Command::Delete { id } => {
                let answer = api.call(Method::DELETE, &one(id), None).await?;
                if self.remote.json {
                    return self.remote.tell_json(&answer);
                }
                println!("deleted {id}");
                return Ok(());
            }
        };
        self.remote.tell::<Cron>(api, &answer).await
    }
}

async fn id_of(api: &Api, which: Option<&String>, scope: &InNamespace) -> anyhow::Result<Option<String>> {
    let Some(which) = which else { return Ok(None) };
    Ok(Some(find_application(api, which, scope.namespace.as_deref()).await?.id))
}

impl Fields {
    fn body(&self, application_id: Option<String>) -> Value {
        let mut body = Map::new();
        body.extend(application_id.map(|id| ("application_id".to_owned(), id.into())));
        body.extend(self.schedule.clone().map(|schedule| ("schedule".to_owned(), schedule.into())));
        body.extend(self.args.clone().map(|args| ("args".to_owned(), args.into())));
        body.into()
    }
}

fn object(text: &str) -> anyhow::Result<Map<String, Value>> {
    serde_json::from_str(text).context("it is no JSON object")
}
