//! What a registry wants to see, learned from its challenges and remembered.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, Url};
use serde::Deserialize;

use super::body::{READ_TIMEOUT, read_limited};
use super::challenge::Challenge;
use super::credentials::{Credentials, Secret};
use super::error::{ClientError, shown};
use super::location::same_origin;
use super::retry::Retry;
use super::transport::Transport;

/// Tokens without a stated life live this long, as the token specification says.
const TOKEN_LIFE: u64 = 60;
/// A token is replaced this long before it ends, so that it does not end under way.
const TOKEN_MARGIN: Duration = Duration::from_secs(10);
const TOKEN_BODY_MAX: u64 = 1024 * 1024;

/// What is known of the registries a client talks to.
#[derive(Debug, Default)]
pub(super) struct Auth {
    credentials: Credentials,
    known: Mutex<Known>,
    /// Held while a token is fetched: several requests at once need one token, not several.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// Registries (by origin) that have answered: where their tokens come from, or that they took a request as it was.
    services: HashMap<String, Option<Service>>,
    /// By origin and scopes.
    tokens: HashMap<(String, String), Token>,
}

#[derive(Clone)]
struct Service {
    realm: Url,
    service: Option<String>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its query may be anything.
        f.debug_struct("Service").field("realm", &shown(&self.realm)).field("service", &self.service).finish()
    }
}

#[derive(Debug, Clone)]
struct Token {
    header: Secret,
    good_until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, ..Self::default() }
    }

    /// The `Authorization` for a request to the registry at `url`'s origin, from what is known so far.
    /// Name and password are sent unasked: that saves a request, and they are for this registry anyway.
    pub(super) async fn header(
        &self,
        http: &Transport,
        url: &Url,
        scopes: &BTreeSet<String>,
        retry: &Retry,
    ) -> Result<Option<Secret>, ClientError> {
        let origin = origin(url);
        let key = (origin.clone(), joined(scopes));
        let Some(service) = self.known().services.get(&origin).cloned().flatten() else {
            return Ok(self.credentials.unasked());
        };
        if let Some(token) = self.good(&key) {
            return Ok(Some(token));
        }
        let _fetching = self.fetching.lock().await;
        if let Some(token) = self.good(&key) {
            return Ok(Some(token));
        }
        let token = self.fetch(http, &service, scopes, retry).await?;
        let header = token.header.clone();
        self.known().tokens.insert(key, token);
        Ok(Some(header))
    }

    /// Whether the registry at `url`'s origin has shown what it wants to see.
    pub(super) fn knows(&self, url: &Url) -> bool {
        self.known().services.contains_key(&origin(url))
    }

    /// The registry took a request as it was.
    pub(super) fn took(&self, url: &Url) {
        self.known().services.entry(origin(url)).or_default();
    }

    /// A token that is there and has not ended.
    fn good(&self, key: &(String, String)) -> Option<Secret> {
        let known = self.known();
        known
            .tokens
            .get(key)
            .filter(|token| token.good_until > Instant::now())
            .map(|token| token.header.clone())
    }

    /// Learns from a 401 to a request that showed `shown`. Returns whether another attempt makes sense.
    pub(super) fn learn(
        &self,
        url: &Url,
        challenge: Option<Challenge>,
        scopes: &BTreeSet<String>,
        shown: Option<&Secret>,
    ) -> bool {
        let Some(Challenge::Bearer { realm, service, .. }) = challenge else {
            // Name and password were sent already, or there are none.
            return false;
        };
        let Some(realm) = Url::parse(&realm).ok().filter(|realm| is_trusted(url, realm)) else {
            tracing::warn!(registry = %origin(url), "the registry names a token service that is not https: not asked");
            return false;
        };
        let mut known = self.known();
        known.services.insert(origin(url), Some(Service { realm, service }));
        let key = (origin(url), joined(scopes));
        // Another request may have replaced it already.
        if known.tokens.get(&key).is_some_and(|token| Some(&token.header) == shown) {
            known.tokens.remove(&key);
        }
        true
    }

    async fn fetch(
        &self,
        http: &Transport,
        service: &Service,
        scopes: &BTreeSet<String>,
        retry: &Retry,
    ) -> Result<Token, ClientError> {
        let mut url = service.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(service.service.iter().map(|service| ("service", service)));
            query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
        }
        let mut attempt = 1;
        loop {
            let asked = match &self.credentials {
                Credentials::Identity { token } => self.exchange(http, service, scopes, token).await,
                _ => self.ask(http, &url).await,
            };
            let error = match asked {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            let Some(delay) = retry.delay(attempt, None).filter(|_| error.is_transient()) else {
                return Err(error);
            };
            tracing::debug!(%error, attempt, "token service failed, trying again");
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// The older way: name and password, or nobody, for a token.
    async fn ask(&self, http: &Transport, url: &Url) -> Result<Token, ClientError> {
        let mut request = http.to(url)?.get(url.clone());
        if let Some(Secret(header)) = self.credentials.basic() {
            request = request.header(reqwest::header::AUTHORIZATION, sensitive(&header, url)?);
        }
        token(request, &Method::GET, url).await
    }

    /// OAuth's way: an identity token for a token.
    async fn exchange(
        &self,
        http: &Transport,
        service: &Service,
        scopes: &BTreeSet<String>,
        identity: &str,
    ) -> Result<Token, ClientError> {
        let mut form = service.realm.clone();
        form.query_pairs_mut()
            .clear()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "zipship")
            .append_pair("service", service.service.as_deref().unwrap_or_default())
            .append_pair("scope", &joined(scopes))
            .append_pair("refresh_token", identity);
        let body = form.query().unwrap_or_default().to_owned();
        let request = http
            .to(&service.realm)?
            .post(service.realm.clone())
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        token(request, &Method::POST, &service.realm).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // The map stays whole whatever thread panicked: it is only inserted into and removed from.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the token service and takes the token out of its answer.
async fn token(request: reqwest::RequestBuilder, method: &Method, url: &Url) -> Result<Token, ClientError> {
    let response = match tokio::time::timeout(READ_TIMEOUT, request.send()).await {
        Ok(sent) => sent.map_err(|error| ClientError::transport(method, url, error))?,
        Err(_) => return Err(ClientError::timed_out(method, url)),
    };
    if response.status() != reqwest::StatusCode::OK {
        return Err(ClientError::refusal(method, response).await);
    }
    let body = read_limited(response, method, TOKEN_BODY_MAX).await?;
    let unusable = || ClientError::protocol(url, "the token service's answer holds no token");
    let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| unusable())?;
    let text = answer.token.or(answer.access_token).filter(|token| !token.is_empty()).ok_or_else(unusable)?;
    let life = Duration::from_secs(answer.expires_in.unwrap_or(TOKEN_LIFE).min(24 * 3600));
    // A token that lives shorter than twice the margin is used for half its life.
    let good_until = Instant::now() + life.saturating_sub(TOKEN_MARGIN).max(life / 2);
    Ok(Token { header: Secret(format!("Bearer {text}")), good_until })
}

/// A header value that HTTP libraries do not log.
pub(super) fn sensitive(text: &str, url: &Url) -> Result<reqwest::header::HeaderValue, ClientError> {
    let mut value = reqwest::header::HeaderValue::from_str(text)
        .map_err(|_| ClientError::protocol(url, "the credentials hold characters that HTTP cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token service may be anywhere the registry says, but credentials travel to another host only
/// by https.
fn is_trusted(registry: &Url, realm: &Url) -> bool {
    realm.scheme() == "https"
        || same_origin(registry, realm)
        || (registry.scheme() == "http" && realm.scheme() == "http" && registry.host() == realm.host())
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn joined(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_services_are_https_or_here() {
        let trusted = |registry: &str, realm: &str| {
            is_trusted(&Url::parse(registry).unwrap(), &Url::parse(realm).unwrap())
        };
        assert!(trusted("https://r/", "https://auth.other/token"));
        assert!(trusted("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token"));
        assert!(!trusted("https://r/", "http://r/token"));
        assert!(!trusted("http://127.0.0.1:5000/", "http://other/token"));
    }
}
