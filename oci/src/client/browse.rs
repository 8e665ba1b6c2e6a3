//! What is in a registry: its repositories and their tags; and taking something out.

use reqwest::header::LINK;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Client;
use super::body::read_limited;
use super::error::ClientError;
use super::exchange::{Exchange, Outgoing, expect};
use super::location::same_origin;
use crate::reference::Reference;

/// The longest page that is read, in bytes.
const PAGE_MAX: u64 = 4 << 20;
/// Pages of a list that are read: a registry that always names another one is not followed for ever.
const PAGES: usize = 10_000;

/// What a zipship registry removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Cleaned {
    /// Manifests of the repository that no tag reached.
    pub manifests: u64,
    /// Files of the registry's store that nothing named any more, of all repositories.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// What was used within so many seconds stays for now.
    pub grace_seconds: u64,
}

#[derive(Deserialize)]
struct Repositories {
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Client {
    /// The repositories of a registry (`host[:port]`) that this client may see. Not every registry has such a list.
    pub async fn repositories(&self, registry: &str) -> Result<Vec<String>, ClientError> {
        let exchange = Exchange::about_all(self, registry)?;
        let pages: Vec<Repositories> = pages(&exchange, exchange.catalog()).await?;
        Ok(pages.into_iter().flat_map(|page| page.repositories.unwrap_or_default()).collect())
    }

    /// The tags of a reference's repository.
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, ClientError> {
        let exchange = Exchange::new(self, reference, "pull", [])?;
        let pages: Vec<Tags> = pages(&exchange, exchange.url("tags/list")).await?;
        Ok(pages.into_iter().flat_map(|page| page.tags.unwrap_or_default()).collect())
    }

    /// Takes a tag away, or a manifest with all its tags when the reference has a digest.
    pub async fn delete(&self, reference: &Reference) -> Result<(), ClientError> {
        let target = reference.target().ok_or_else(|| ClientError::NoTarget(reference.to_string()))?;
        let exchange = Exchange::new(self, reference, "pull,push,delete", [])?;
        let request = Outgoing::new(Method::DELETE, exchange.url(&format!("manifests/{target}")));
        let response = exchange.send(&request).await?;
        expect(response, &Method::DELETE, &[StatusCode::ACCEPTED, StatusCode::OK]).await.map(drop)
    }

    /// Has a zipship registry remove the manifests of a repository that no tag reaches, and then whatever nothing
    /// names. `None`: the registry is another one, which knows no such request.
    pub async fn clean(&self, reference: &Reference) -> Result<Option<Cleaned>, ClientError> {
        let exchange = Exchange::new(self, reference, "pull,push,delete", [])?;
        let request = Outgoing::new(Method::POST, exchange.url("_zipship/clean"));
        let response = exchange.send(&request).await?;
        let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::BAD_REQUEST];
        if unknown.contains(&response.status()) {
            return Ok(None);
        }
        let response = expect(response, &Method::POST, &[StatusCode::OK]).await?;
        read(response, &Method::POST).await.map(Some)
    }
}

/// All pages of a list.
async fn pages<T: DeserializeOwned>(exchange: &Exchange<'_>, first: Url) -> Result<Vec<T>, ClientError> {
    let mut pages = Vec::new();
    let mut next = Some(first);
    while let Some(url) = next.take().filter(|_| pages.len() < PAGES) {
        let response = exchange.send(&Outgoing::new(Method::GET, url)).await?;
        let response = expect(response, &Method::GET, &[StatusCode::OK]).await?;
        next = following(&response);
        pages.push(read(response, &Method::GET).await?);
    }
    Ok(pages)
}

async fn read<T: DeserializeOwned>(response: Response, method: &Method) -> Result<T, ClientError> {
    let url = response.url().clone();
    let bytes = read_limited(response, method, PAGE_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| ClientError::protocol(&url, error.to_string()))
}

/// The next page by the `Link` header (RFC 8288), when it is on the same registry.
pub(super) fn following(response: &Response) -> Option<Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.split_once('<')?.1.split_once('>')?;
    let is_next = parameters.replace([' ', '"'], "").split(';').any(|parameter| parameter == "rel=next");
    let url = response.url().join(target).ok()?;
    (is_next && same_origin(&url, response.url())).then_some(url)
}
