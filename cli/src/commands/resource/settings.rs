//! What functions and containers are given, as options.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use crate::local::environment::{Sources, given};
use crate::local::function::duration;

/// Variables, from the command line and from files.
#[derive(Debug, Args)]
pub(crate) struct Environment {
    /// A variable; NAME alone passes this terminal's value on; repeatable.
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE")]
    given: Vec<String>,
    /// A file of such lines; repeatable, later ones win, and --env wins over them.
    #[arg(long = "env-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Environment {
    /// `None` when nothing was said about variables.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Value>> {
        if self.given.is_empty() && self.files.is_empty() {
            return Ok(None);
        }
        let sources = Sources { files: self.files.clone(), given: given(&self.given)?, ..Sources::default() };
        Ok(Some(serde_json::to_value(sources.read()?)?))
    }
}

/// What runs, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    environment: Environment,
    /// Memory of an instance, 128, 256, 512 or 1024; it sets the share of a core too [default: 256].
    #[arg(long, value_name = "MB")]
    memory: Option<u32>,
    /// One request's limit: 1500, 1500ms or 2s [default: 300s].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Instances that are kept when nobody calls [default: 0].
    #[arg(long, value_name = "NUMBER")]
    min_scale: Option<u32>,
    /// Most instances [default: 20].
    #[arg(long, value_name = "NUMBER")]
    max_scale: Option<u32>,
    /// Requests at once in one instance [default: by language].
    #[arg(long, value_name = "NUMBER")]
    max_concurrency: Option<u32>,
    /// Callers need a token.
    #[arg(long, conflicts_with = "public")]
    private: bool,
    /// Anybody may call; what a new one is.
    #[arg(long)]
    public: bool,
    /// Free text.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl Settings {
    /// What was said.
    pub(crate) fn body(&self) -> anyhow::Result<Map<String, Value>> {
        let timeout = self.timeout.map(|timeout| u64::try_from(timeout.as_millis())).transpose()?;
        let privacy = match (self.private, self.public) {
            (true, _) => Some("private".into()),
            (_, true) => Some("public".into()),
            _ => None,
        };
        Ok(said([
            ("environment_variables", self.environment.read()?),
            ("memory_limit", self.memory.map(Value::from)),
            ("timeout", timeout.map(Value::from)),
            ("min_scale", self.min_scale.map(Value::from)),
            ("max_scale", self.max_scale.map(Value::from)),
            ("max_concurrency", self.max_concurrency.map(Value::from)),
            ("privacy", privacy),
            ("description", self.description.clone().map(Value::from)),
        ]))
    }
}

/// What only a change knows.
#[derive(Debug, Args)]
pub(crate) struct Changes {
    /// Take all variables away; --env and --env-file replace all of them.
    #[arg(long, conflicts_with_all = ["given", "files"])]
    no_env: bool,
    /// Deploy anew, whatever was changed.
    #[arg(long, conflicts_with = "no_redeploy")]
    redeploy: bool,
    /// Keep what runs: the change is for the next deploy.
    #[arg(long)]
    no_redeploy: bool,
}

impl Changes {
    /// What was said.
    pub(crate) fn body(&self) -> Map<String, Value> {
        let redeploy = match (self.redeploy, self.no_redeploy) {
            (true, _) => Some(true.into()),
            (_, true) => Some(false.into()),
            _ => None,
        };
        let none = self.no_env.then(|| Value::Object(Map::new()));
        said([("environment_variables", none), ("redeploy", redeploy)])
    }
}

/// Only what was said.
pub(crate) fn said<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Variables for people: their names. The values may be secrets, and --json has them.
pub(crate) fn variables(variables: &std::collections::BTreeMap<String, String>) -> String {
    variables.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// For people.
pub(crate) fn status(status: contract::api::ApplicationStatus) -> &'static str {
    use contract::api::ApplicationStatus::{Created, Creating, Deleting, Error, Locked, Pending, Ready};
    match status {
        Created => "created",
        Creating => "creating",
        Pending => "pending",
        Ready => "ready",
        Error => "error",
        Deleting => "deleting",
        Locked => "locked",
    }
}

/// For people.
pub(crate) fn privacy(privacy: contract::api::Privacy) -> &'static str {
    match privacy {
        contract::api::Privacy::Private => "private",
        contract::api::Privacy::Public | contract::api::Privacy::Unknown => "public",
    }
}
