//! One operation's conversation with one registry: authorisation, redirects and retries around each
//! request, and the count of what was sent.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};

use super::Client;
use super::auth::sensitive;
use super::body::{Body, READ_TIMEOUT};
use super::challenge::challenge;
use super::credentials::Secret;
use super::error::{ClientError, shown};
use super::location::{follow, same_origin};
use super::retry::{is_transient, retry_after};
use crate::reference::Reference;

/// How many redirects one request follows.
const REDIRECTS: u32 = 5;
/// How often one request is sent again with new authorisation.
const CHALLENGES: u32 = 2;
/// The slowest upload that is waited for, in bytes a second.
const SLOWEST_UPLOAD: u64 = 64 * 1024;

/// A request that can be sent any number of times.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Outgoing {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Body::Empty }
    }
}

/// The conversation.
pub(super) struct Exchange<'a> {
    client: &'a Client,
    base: Url,
    repository: String,
    scopes: BTreeSet<String>,
    requests: AtomicU32,
}

impl<'a> Exchange<'a> {
    /// A conversation about one repository. `actions` is what the operation needs there (`pull`,
    /// `pull,push`), `sources` are repositories it mounts from.
    pub(super) fn new(
        client: &'a Client,
        reference: &Reference,
        actions: &str,
        sources: impl IntoIterator<Item = String>,
    ) -> Result<Self, ClientError> {
        // The fields are public: what goes into URLs is validated here whoever filled them.
        let reference = Reference::parse(&reference.to_string())?;
        let scheme = if client.options.plain_http { "http" } else { "https" };
        let base = format!("{scheme}://{}/", reference.registry);
        let base = Url::parse(&base).map_err(|error| ClientError::Setup(format!("{base}: {error}")))?;
        let mut scopes: BTreeSet<String> =
            sources.into_iter().map(|source| format!("repository:{source}:pull")).collect();
        scopes.insert(format!("repository:{}:{actions}", reference.repository));
        Ok(Self { client, base, repository: reference.repository, scopes, requests: AtomicU32::new(0) })
    }

    /// The URL of something in the repository: `blobs/uploads/`, `manifests/latest`.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{path}", self.repository));
        url
    }

    /// The repository's name.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// How many requests were sent.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends until there is an answer that will not go away by itself, or patience ends.
    pub(super) async fn send(&self, request: &Outgoing) -> Result<Response, ClientError> {
        let mut attempt = 1;
        loop {
            let sent = self.send_once(request).await;
            let asked = match &sent {
                Ok(response) if is_transient(response.status()) => {
                    retry_after(response.headers(), SystemTime::now())
                }
                Err(error) if error.is_transient() => None,
                _ => return sent,
            };
            let Some(delay) = self.client.options.retry.delay(attempt, asked) else { return sent };
            let outcome = match &sent {
                Ok(response) => response.status().to_string(),
                Err(error) => error.to_string(),
            };
            tracing::debug!(method = %request.method, url = shown(&request.url), attempt, ?delay, outcome, "trying again");
            drop(sent);
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// Sends once, following redirects and answering challenges.
    pub(super) async fn send_once(&self, request: &Outgoing) -> Result<Response, ClientError> {
        let (mut url, mut method, mut body) =
            (request.url.clone(), request.method.clone(), request.body.clone());
        let (mut redirects, mut challenges) = (0, 0);
        loop {
            let authorization = self.authorization(&url).await?;
            let response = self.attempt(&method, &url, &request.headers, &body, authorization).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && challenges < CHALLENGES && same_origin(&url, &self.base)
            {
                challenges += 1;
                if self.client.auth.learn(&self.base, challenge(response.headers()), &self.scopes) {
                    continue;
                }
                return Ok(response);
            }
            if !is_redirect(status, &method) {
                return Ok(response);
            }
            redirects += 1;
            if redirects > REDIRECTS {
                return Err(ClientError::protocol(&url, format!("more than {REDIRECTS} redirects")));
            }
            url = follow(&url, response.headers())?;
            if status == StatusCode::SEE_OTHER && method != Method::HEAD {
                (method, body) = (Method::GET, Body::Empty);
            }
        }
    }

    /// What may be shown to `url`: nothing unless it is the registry itself.
    async fn authorization(&self, url: &Url) -> Result<Option<Secret>, ClientError> {
        if !same_origin(url, &self.base) {
            return Ok(None);
        }
        self.client.auth.header(&self.client.http, &self.base, &self.scopes, &self.client.options.retry).await
    }

    async fn attempt(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &Body,
        authorization: Option<Secret>,
    ) -> Result<Response, ClientError> {
        let open = body.open();
        let mut request = self.client.http.request(method.clone(), url.clone()).headers(headers.clone());
        if !matches!(*method, Method::GET | Method::HEAD | Method::DELETE) {
            request = request.header(CONTENT_LENGTH, open.length).body(open.body);
        }
        if let Some(Secret(text)) = authorization {
            request = request.header(AUTHORIZATION, sensitive(&text, url)?);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let patience = READ_TIMEOUT + Duration::from_secs(open.length / SLOWEST_UPLOAD);
        let sent = match tokio::time::timeout(patience, request.send()).await {
            Ok(sent) => sent.map_err(|error| ClientError::transport(method, url, error)),
            Err(_) => Err(ClientError::timed_out(method, url)),
        };
        match (open.failure.get(), body) {
            (Some(reason), Body::Layer(layer)) => {
                Err(ClientError::Layer { digest: layer.digest().clone(), reason: reason.clone() })
            }
            _ => sent,
        }
    }
}

/// Whether the answer sends this request elsewhere. 301 and 302 are followed for reads only: for anything
/// else they are ambiguous, and registries do not use them.
fn is_redirect(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        307 | 308 => true,
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    }
}

/// The answer, when its status is one of these; else the registry's refusal.
pub(super) async fn expect(
    response: Response,
    method: &Method,
    statuses: &[StatusCode],
) -> Result<Response, ClientError> {
    if statuses.contains(&response.status()) {
        return Ok(response);
    }
    Err(ClientError::refusal(method, response).await)
}
