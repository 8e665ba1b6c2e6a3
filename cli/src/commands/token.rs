//! `zipship token`: tokens for callers of private functions and containers.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use contract::api::{Container, Function, Namespace};
use reqwest::Method;
use serde_json::Value;

use super::instant;
use super::registry::wait;
use super::resource::{Remote, find};
use crate::api::Api;

/// A token is what callers of private functions send as SCW-Functions-Token.
#[derive(Debug, Args)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    action: TokenAction,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Makes a token and prints it; it is kept nowhere.
    #[command(group = clap::ArgGroup::new("application").args(["function", "container"]))]
    #[command(group = clap::ArgGroup::new("subject").args(["namespace", "function", "container"]).required(true).multiple(true))]
    Issue {
        /// For all private functions and containers of this namespace; beside one of the others, where to look for it.
        #[arg(long, short = 'n', value_name = "NAME_OR_ID")]
        namespace: Option<String>,
        /// For this function alone.
        #[arg(long, value_name = "NAME_OR_ID")]
        function: Option<String>,
        /// For this container alone.
        #[arg(long, value_name = "NAME_OR_ID")]
        container: Option<String>,
        /// When it ends: a time from now (90d, 12h, 30m, 10s) or a date (2030-01-31, 2030-01-31T12:00:00Z); without it,
        /// never.
        #[arg(long, value_name = "WHEN", value_parser = instant::parse)]
        expires: Option<i64>,
    },
}

pub(crate) fn run(command: &TokenCommand) -> anyhow::Result<ExitCode> {
    let api = command.remote.client()?;
    wait(command.run(&api))??;
    Ok(ExitCode::SUCCESS)
}

impl TokenCommand {
    async fn run(&self, api: &Api) -> anyhow::Result<()> {
        let TokenAction::Issue { namespace, function, container, expires } = &self.action;
        let place = namespace.as_deref();
        let subject = match (function, container) {
            (Some(name), _) => ("function_id", find::<Function>(api, name, place).await?),
            (None, Some(name)) => ("container_id", find::<Container>(api, name, place).await?),
            (None, None) => ("namespace_id", find::<Namespace>(api, place.unwrap_or_default(), None).await?),
        };
        let issued = issue(api, subject.0, &subject.1.id, *expires).await?;
        if self.remote.json {
            return self.remote.tell_json(&issued);
        }
        println!("{}", issued["token"].as_str().unwrap_or_default());
        Ok(())
    }
}

/// A token for what `key` says, such as `function_id`; `expires` in milliseconds since the Unix epoch.
pub(super) async fn issue(api: &Api, key: &str, id: &str, expires: Option<i64>) -> anyhow::Result<Value> {
    let date = expires.map(|at| format!("&expiration_date={}", instant::text(Some(at))));
    api.call(Method::GET, &format!("jwt/issue?{key}={id}{}", date.unwrap_or_default()), None).await
}
