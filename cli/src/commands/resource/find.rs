//! A name where the API wants an id.

use anyhow::{Context as _, bail};
use contract::api::{Container, Function};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Resource, Spaces};
use crate::api::Api;

/// A resource that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    /// Path of its list.
    pub(crate) list: &'static str,
}

/// The resource of this name or id, in the namespace where one is given. What looks like an id is taken for one and
/// not looked up.
pub(crate) async fn find<R: Resource>(
    api: &Api,
    which: &str,
    namespace: Option<&str>,
) -> anyhow::Result<Found> {
    if let Some(id) = as_id(which) {
        return Ok(Found { id, list: R::LIST });
    }
    let candidates = named(api, R::LIST, which, namespace).await?;
    one(api, R::NAME, which, namespace, candidates.into_iter().map(|found| (R::LIST, found)).collect()).await
}

/// All of this name or id, in the namespace where one is given: none, or one, or several of different namespaces.
pub(crate) async fn candidates<R: Resource>(
    api: &Api,
    which: &str,
    namespace: Option<&str>,
) -> anyhow::Result<Vec<Value>> {
    match as_id(which) {
        Some(id) => Ok(api.find(&format!("{}/{id}", R::LIST)).await?.into_iter().collect()),
        None => named(api, R::LIST, which, namespace).await,
    }
}

/// The function or container of this name or id.
pub(crate) async fn find_application(
    api: &Api,
    which: &str,
    namespace: Option<&str>,
) -> anyhow::Result<Found> {
    if let Some(id) = as_id(which) {
        let functions = format!("{}/{id}", Function::LIST);
        let list = match api.find(&functions).await? {
            Some(_) => Function::LIST,
            None => Container::LIST,
        };
        return Ok(Found { id, list });
    }
    let mut candidates = Vec::new();
    for list in [Function::LIST, Container::LIST] {
        candidates.extend(named(api, list, which, namespace).await?.into_iter().map(|found| (list, found)));
    }
    one(api, "function or container", which, namespace, candidates).await
}

fn as_id(which: &str) -> Option<String> {
    uuid::Uuid::parse_str(which).ok().filter(|_| which.len() == 36).map(|id| id.to_string())
}

async fn named(api: &Api, list: &str, name: &str, namespace: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut query = format!("name={}&", utf8_percent_encode(name, NON_ALPHANUMERIC));
    if let Some(namespace) = namespace {
        let namespace = Box::pin(find::<contract::api::Namespace>(api, namespace, None)).await?;
        query.push_str(&format!("namespace_id={}&", namespace.id));
    }
    api.list(list, &query).await
}

async fn one(
    api: &Api,
    what: &str,
    name: &str,
    namespace: Option<&str>,
    candidates: Vec<(&'static str, Value)>,
) -> anyhow::Result<Found> {
    let id = |value: &Value| value["id"].as_str().map(str::to_owned).context("the server's answer has no id");
    match candidates.as_slice() {
        [(list, found)] => Ok(Found { id: id(found)?, list }),
        [] => {
            let place =
                namespace.map(|namespace| format!(" in the namespace {namespace}")).unwrap_or_default();
            bail!("there is no {what} with the name or id {name:?}{place}")
        }
        several => {
            let spaces = Spaces::read(api).await?;
            let mut lines = String::new();
            for (list, found) in several {
                let space = spaces.name(found["namespace_id"].as_str().unwrap_or_default());
                let kind = list.trim_end_matches('s');
                lines.push_str(&format!("\n  {kind} {}  in the namespace {space}", id(found)?));
            }
            bail!(
                "{name:?} is the name of several; give the id, or --namespace where that tells them apart:{lines}"
            )
        }
    }
}
