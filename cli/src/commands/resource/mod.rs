//! What the commands of a server's resources share: one place for create, list, get, update and delete, for names in
//! place of ids, for waiting, and for what is printed.

mod find;
mod print;
mod settings;
mod wait;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::api::{Access, Api};

pub(crate) use find::{Found, candidates, find, find_application};
pub(crate) use print::{cell, lines, table};
pub(crate) use settings::{Changes, Environment, Settings, privacy, said, status, variables};
pub(crate) use wait::{Steps, until_gone, until_settled};

/// A kind of resource: how the API calls it, and how people read it.
pub(crate) trait Resource: DeserializeOwned {
    /// One of them, as in `function`.
    const NAME: &'static str;
    /// All of them: the list's path, and its key in the answer.
    const LIST: &'static str;
    /// Heads of the table.
    const COLUMNS: &'static [&'static str];

    /// Its line in the table, as long as [`Resource::COLUMNS`].
    fn row(self, spaces: &Spaces) -> Vec<String>;

    /// All of it, by name.
    fn lines(self, spaces: &Spaces) -> Vec<(&'static str, String)>;
}

/// Names of namespaces by id, for resources that lie in one.
#[derive(Default)]
pub(crate) struct Spaces(Vec<(String, String)>);

impl Spaces {
    /// Those of the key's organization.
    pub(crate) async fn read(api: &Api) -> anyhow::Result<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = api.list("namespaces", "").await?;
        Ok(Self(all.iter().map(|one| (text(&one["id"]), text(&one["name"]))).collect()))
    }

    /// The name; the id itself where there is none (any more).
    pub(crate) fn name(&self, id: &str) -> String {
        let found = self.0.iter().find(|(known, _)| known == id);
        found.map_or_else(|| id.to_owned(), |(_, name)| name.clone())
    }
}

/// Which server, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    #[command(flatten)]
    access: Access,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Remote {
    /// A client.
    pub(crate) fn client(&self) -> anyhow::Result<Api> {
        self.access.client()
    }

    /// Prints one resource.
    pub(crate) async fn tell<R: Resource>(&self, api: &Api, answer: &Value) -> anyhow::Result<()> {
        if self.json {
            return self.tell_json(answer);
        }
        let spaces = spaces_for::<R>(api, std::slice::from_ref(answer)).await?;
        print!("{}", lines(R::deserialize(answer)?.lines(&spaces)));
        Ok(())
    }

    /// Prints many.
    pub(crate) async fn tell_all<R: Resource>(&self, api: &Api, answers: Vec<Value>) -> anyhow::Result<()> {
        if self.json {
            return self.tell_json(&Value::Array(answers));
        }
        let spaces = spaces_for::<R>(api, &answers).await?;
        let rows = answers.iter().map(|answer| Ok(R::deserialize(answer)?.row(&spaces)));
        print!("{}", table(R::COLUMNS, rows.collect::<anyhow::Result<_>>()?));
        Ok(())
    }

    /// Prints what has no form for people, or was asked for as JSON.
    pub(crate) fn tell_json(&self, answer: &Value) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string_pretty(answer)?);
        Ok(())
    }
}

/// Only asked for where a namespace is named by its id.
async fn spaces_for<R: Resource>(api: &Api, answers: &[Value]) -> anyhow::Result<Spaces> {
    match answers.iter().any(|answer| answer["namespace_id"].is_string()) {
        true => Spaces::read(api).await,
        false => Ok(Spaces::default()),
    }
}

/// Where a resource is looked for.
pub(crate) trait Scope {
    /// Name or id of the namespace that was given.
    fn namespace(&self) -> Option<&str>;
}

/// Namespaces lie in nothing.
#[derive(Debug, Args)]
pub(crate) struct Everywhere {}

impl Scope for Everywhere {
    fn namespace(&self) -> Option<&str> {
        None
    }
}

/// Functions and containers lie in a namespace.
#[derive(Debug, Args)]
pub(crate) struct InNamespace {
    /// Its namespace, by name or id; not needed for a name that is in one namespace only.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

impl Scope for InNamespace {
    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

/// # Errors
/// No namespace was given, and a new function or container needs one.
pub(crate) fn require_namespace(scope: &InNamespace) -> anyhow::Result<()> {
    scope.namespace.as_ref().map(drop).context("--namespace says which namespace it is to be in")
}

/// What is written of a resource.
pub(crate) trait Fields {
    /// As the API takes it.
    fn body(&self) -> anyhow::Result<Map<String, Value>>;
}

/// What can be done with any resource that has a name.
#[derive(Debug, Subcommand)]
pub(crate) enum Action<S: Args, C: Args, U: Args> {
    /// Makes one.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        scope: S,
        #[command(flatten)]
        fields: C,
    },
    /// Lists them.
    List {
        #[command(flatten)]
        scope: S,
    },
    /// Shows one.
    Get {
        /// Its name or id.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
        #[command(flatten)]
        scope: S,
    },
    /// Changes what is named, and waits for the deploy that this may need.
    Update {
        /// Its name or id.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
        #[command(flatten)]
        scope: S,
        #[command(flatten)]
        fields: U,
    },
    /// Deletes one, and waits until it is gone.
    Delete {
        /// Its name or id.
        #[arg(value_name = "NAME_OR_ID")]
        which: String,
        #[command(flatten)]
        scope: S,
    },
}

impl<S: Args + Scope, C: Args + Fields, U: Args + Fields> Action<S, C, U> {
    /// Does it with resources of one kind.
    pub(crate) async fn run<R: Resource>(&self, remote: &Remote, api: &Api) -> anyhow::Result<()> {
        let path = |found: &Found| format!("{}/{}", R::LIST, found.id);
        match self {
            Self::Create { name, scope, fields } => {
                let mut body = fields.body()?;
                body.insert("name".to_owned(), name.as_str().into());
                if let Some(namespace) = scope.namespace() {
                    let namespace = find::<contract::api::Namespace>(api, namespace, None).await?;
                    body.insert("namespace_id".to_owned(), namespace.id.into());
                }
                let made = api.call(Method::POST, R::LIST, Some(&body.into())).await?;
                let made = until_settled(api, R::LIST, made, &Steps::of(name)).await?;
                remote.tell::<R>(api, &made).await
            }
            Self::List { scope } => {
                let query = match scope.namespace() {
                    Some(name) => {
                        let namespace = find::<contract::api::Namespace>(api, name, None).await?;
                        format!("namespace_id={}&", namespace.id)
                    }
                    None => String::new(),
                };
                remote.tell_all::<R>(api, api.list(R::LIST, &query).await?).await
            }
            Self::Get { which, scope } => {
                let found = find::<R>(api, which, scope.namespace()).await?;
                let answer = api.call(Method::GET, &path(&found), None).await?;
                remote.tell::<R>(api, &answer).await
            }
            Self::Update { which, scope, fields } => {
                let body = fields.body()?;
                let found = find::<R>(api, which, scope.namespace()).await?;
                let changed = api.call(Method::PATCH, &path(&found), Some(&body.into())).await?;
                let changed = until_settled(api, R::LIST, changed, &Steps::of(which)).await?;
                remote.tell::<R>(api, &changed).await
            }
            Self::Delete { which, scope } => {
                let found = find::<R>(api, which, scope.namespace()).await?;
                let answer = api.call(Method::DELETE, &path(&found), None).await?;
                until_gone(api, &path(&found), &Steps::of(which)).await?;
                if remote.json {
                    return remote.tell_json(&answer);
                }
                println!("deleted {}", found.id);
                Ok(())
            }
        }
    }
}
