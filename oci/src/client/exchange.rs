//! One operation's conversation with one registry: authorisation, redirects and retries around each
//! request, and the count of what was sent.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};

use super::Client;
use super::auth::sensitive;
use super::body::{Body, OpenBody};
use super::challenge::challenge;
use super::credentials::Secret;
use super::error::{ClientError, shown};
use super::location::{follow, same_origin};
use super::retry::{is_transient, retry_after};
use super::session::Way;
use super::sources::Sources;
use crate::reference::Reference;

/// How many redirects one request follows.
const REDIRECTS: u32 = 5;
/// How often one request is sent again with new authorisation.
const CHALLENGES: u32 = 2;
/// How fast a registry puts away what it was sent before it answers, at the slowest: in bytes a second.
const SLOWEST_STORE: u64 = 4 << 20;

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

/// The root of a registry.
fn base(client: &Client, registry: &str) -> Result<Url, ClientError> {
    let scheme = if client.options.plain_http { "http" } else { "https" };
    let base = format!("{scheme}://{registry}/");
    Url::parse(&base).map_err(|error| ClientError::Setup(format!("{base}: {error}")))
}

/// The conversation.
pub(super) struct Exchange<'a> {
    client: &'a Client,
    base: Url,
    repository: String,
    /// What the operation needs where it writes.
    scope: String,
    sources: Sources,
    way: Mutex<Way>,
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
        let base = base(client, &reference.registry)?;
        let scope = format!("repository:{}:{actions}", reference.repository);
        Ok(Self::with(client, base, reference.repository, scope, Sources::new(sources)))
    }

    /// A conversation about the list of a registry's repositories.
    pub(super) fn about_all(client: &'a Client, registry: &str) -> Result<Self, ClientError> {
        // As above: a host, and nothing that could be more.
        let registry = Reference::parse(&format!("{registry}/all"))?.registry;
        let (base, scope) = (base(client, &registry)?, "registry:catalog:*".to_owned());
        Ok(Self::with(client, base, String::new(), scope, Sources::new([])))
    }

    fn with(client: &'a Client, base: Url, repository: String, scope: String, sources: Sources) -> Self {
        let (way, requests) = (Mutex::new(Way::Put), AtomicU32::new(0));
        Self { client, base, repository, scope, sources, way, requests }
    }

    /// The URL of the list of repositories.
    pub(super) fn catalog(&self) -> Url {
        let mut url = self.base.clone();
        url.set_path("/v2/_catalog");
        url
    }

    /// What a token must allow: the operation, and reading what is mounted.
    fn scopes(&self) -> BTreeSet<String> {
        let sources = self.sources.names().into_iter().filter(|source| *source != self.repository);
        sources.map(|source| format!("repository:{source}:pull")).chain([self.scope.clone()]).collect()
    }

    /// What is known of the repositories to mount from.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Whether the registry has shown what it wants to see, so that several requests at once are not all refused.
    pub(super) fn is_acquainted(&self) -> bool {
        self.client.auth.knows(&self.base)
    }

    fn current_way(&self) -> MutexGuard<'_, Way> {
        // The value is whole at any time.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How bytes are sent.
    pub(super) fn way(&self) -> Way {
        *self.current_way()
    }

    /// The registry wants bytes another way.
    pub(super) fn set_way(&self, way: Way) {
        *self.current_way() = way;
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

    /// Waits as before another attempt.
    pub(super) async fn pause(&self, attempt: u32) {
        let retry = super::Retry { attempts: u32::MAX, ..self.client.options.retry };
        tokio::time::sleep(retry.delay(attempt, None).unwrap_or_default()).await;
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
            let response =
                self.attempt(&method, &url, &request.headers, &body, authorization.as_ref()).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && challenges < CHALLENGES && same_origin(&url, &self.base)
            {
                challenges += 1;
                // What was shown has ended, or was for less: the same token is not shown twice.
                let challenge = challenge(response.headers());
                let scopes = self.scopes();
                if self.client.auth.learn(&self.base, challenge, &scopes, authorization.as_ref()) {
                    continue;
                }
                return Ok(response);
            }
            if status != StatusCode::UNAUTHORIZED && same_origin(&url, &self.base) {
                self.client.auth.took(&self.base);
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
        let ask = |scopes: BTreeSet<String>| async move {
            self.client.auth.header(&self.client.http, &self.base, &scopes, &self.client.options.retry).await
        };
        let asked = ask(self.scopes()).await;
        let denied = |error: &ClientError| {
            matches!(
                error.status(),
                Some(StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            )
        };
        match asked {
            // A token service may refuse all because one repository is not for this user: then nothing is mounted.
            Err(error) if denied(&error) && self.scopes().len() > 1 => {
                tracing::debug!(%error, "no token for the source of mounts, going on without");
                self.sources.close_all();
                ask(self.scopes()).await
            }
            asked => asked,
        }
    }

    async fn attempt(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &Body,
        authorization: Option<&Secret>,
    ) -> Result<Response, ClientError> {
        let mut open = body.open();
        let content = std::mem::replace(&mut open.body, reqwest::Body::from(""));
        let mut request =
            self.client.http.to(url)?.request(method.clone(), url.clone()).headers(headers.clone());
        if !matches!(*method, Method::GET | Method::HEAD | Method::DELETE) {
            request = request.header(CONTENT_LENGTH, open.length).body(content);
        }
        if let Some(Secret(text)) = authorization {
            request = request.header(AUTHORIZATION, sensitive(text, url)?);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let OpenBody { length, failure, moved, .. } = &open;
        let silence = self.client.options.retry.silence;
        let mut sending = Box::pin(request.send());
        let sent = loop {
            let until = moved.last() + silence + Duration::from_secs(length / SLOWEST_STORE);
            match tokio::time::timeout_at(until.into(), &mut sending).await {
                Ok(sent) => break sent.map_err(|error| ClientError::transport(method, url, error)),
                // Slow is not dead: as long as bytes move, they are waited for.
                Err(_) if moved.last() + silence > Instant::now() => {}
                Err(_) => break Err(ClientError::timed_out(method, url)),
            }
        };
        match (failure.get(), body.layer()) {
            (Some(reason), Some(layer)) => {
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
