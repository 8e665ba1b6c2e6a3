//! `zipship cron`: crons of a server.

mod show;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value};

use super::registry::wait;
use crate::api::{Access, Api};

/// Crons call a function or container whenever their schedule says so, in UTC.
#[derive(Debug, Args)]
pub(crate) struct Cron {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    access: Access,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a cron.
    Create {
        /// The function or container to call.
        #[arg(value_name = "APPLICATION_ID")]
        application_id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Lists crons.
    List {
        /// Only those of this function or container.
        #[arg(long, value_name = "ID")]
        application: Option<String>,
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
        /// Another function or container to call.
        #[arg(long, value_name = "ID")]
        application: Option<String>,
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

pub(crate) fn run(cron: &Cron) -> anyhow::Result<ExitCode> {
    let api = cron.access.client()?;
    wait(cron.run(&api))??;
    Ok(ExitCode::SUCCESS)
}

impl Cron {
    async fn run(&self, api: &Api) -> anyhow::Result<()> {
        let one = |id: &str| format!("crons/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
        let answer = match &self.command {
            Command::Create { application_id, fields } => {
                let body = fields.body(Some(application_id));
                api.call(Method::POST, "crons", Some(&body)).await?
            }
            Command::List { application } => {
                let id = application.iter().map(|id| utf8_percent_encode(id, NON_ALPHANUMERIC));
                let query: String = id.map(|id| format!("application_id={id}&")).collect();
                Value::Array(api.list("crons", &query).await?)
            }
            Command::Get { id } => api.call(Method::GET, &one(id), None).await?,
            Command::Update { id, application, fields } => {
                let body = fields.body(application.as_deref());
                api.call(Method::PATCH, &one(id), Some(&body)).await?
            }
            Command::Delete { id } => api.call(Method::DELETE, &one(id), None).await?,
        };
        self.tell(&answer)
    }

    fn tell(&self, answer: &Value) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(answer)?);
            return Ok(());
        }
        match (&self.command, answer) {
            (Command::Delete { id }, _) => println!("deleted {id}"),
            (_, Value::Array(crons)) => print!("{}", show::table(crons)?),
            (_, cron) => print!("{}", show::whole(cron)?),
        }
        Ok(())
    }
}

impl Fields {
    fn body(&self, application_id: Option<&str>) -> Value {
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
