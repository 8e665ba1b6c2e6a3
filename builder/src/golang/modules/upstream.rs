//! The module proxies of this machine, and how they are asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url};

use super::address::{PublicNames, is_name_or_public};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the next bytes to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 3;
/// How often one proxy is asked when it fails in a way that passes.
const TRIES: u32 = 3;
/// Between two tries, times their number.
const PAUSE: Duration = Duration::from_millis(250);
/// Bytes of a proxy's own words about a module that it does not have.
const WORDS_BYTES: u64 = 1 << 10;
/// Variables that name the machine's HTTP proxy, in capitals and not.
const HTTP_PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// The module proxies to fetch from, in the order in which they are asked.
#[derive(Clone, PartialEq, Eq)]
pub struct ModuleProxy(Vec<Url>);

/// A module proxy's address that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address of a Go module proxy; write https://HOST/PATH (or http:), more than one with commas"
)]
pub struct NoProxyAddress(String);

impl ModuleProxy {
    /// From a list as `GOPROXY` has it: `None` when there is no proxy in it. `direct` and `off` are left out, since
    /// nothing is ever fetched from where modules are developed; `|` separates as `,` does: the next proxy is
    /// asked when one does not have a module.
    ///
    /// # Errors
    /// [`NoProxyAddress`]
    pub fn parse(list: &str) -> Result<Option<Self>, NoProxyAddress> {
        let addresses = list.split([',', '|']).map(str::trim);
        let proxies: Vec<Url> = addresses
            .filter(|address| !matches!(*address, "" | "direct" | "off"))
            .map(|address| {
                // The address itself may hold a password: only its end is repeated.
                let shown = || NoProxyAddress(address.rsplit('@').next().unwrap_or_default().to_owned());
                let url = Url::parse(address).map_err(|_| shown())?;
                let usable = matches!(url.scheme(), "http" | "https") && url.query().is_none();
                if usable { Ok(url) } else { Err(shown()) }
            })
            .collect::<Result<_, _>>()?;
        Ok((!proxies.is_empty()).then_some(Self(proxies)))
    }

    /// A client that goes nowhere but to these proxies and where they redirect on the public internet.
    pub(super) fn client(&self) -> Result<Client, reqwest::Error> {
        let hosts: Vec<String> = self.0.iter().filter_map(|url| url.host_str().map(str::to_owned)).collect();
        let proxies = hosts.clone();
        let machine = HTTP_PROXIES
            .iter()
            .filter_map(|name| Url::parse(&std::env::var(name).ok()?).ok()?.host_str().map(str::to_owned))
            .collect::<Vec<_>>();
        let behind_proxy = !machine.is_empty();
        Client::builder()
            .user_agent(concat!("zipship/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .referer(false)
            .redirect(Policy::custom(move |attempt| redirect(attempt, &proxies, behind_proxy)))
            .dns_resolver(Arc::new(PublicNames { trusted: hosts.into_iter().chain(machine).collect() }))
            .build()
    }

    /// A file of the first proxy that has it, at most `limit` bytes.
    pub(super) async fn get(&self, client: &Client, path: &str, limit: u64) -> Result<Bytes, GetError> {
        let mut missing = GetError::NotThere("no proxy has it".to_owned());
        for proxy in &self.0 {
            match get_one(client, proxy, path, limit).await {
                Err(GetError::NotThere(words)) => missing = GetError::NotThere(words),
                other => return other,
            }
        }
        Err(missing)
    }
}

/// Without passwords: hosts only.
impl std::fmt::Debug for ModuleProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().filter_map(Url::host_str)).finish()
    }
}

/// Why there is no file. The texts are for the function's owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GetError {
    /// 404 or 410, with the proxy's words.
    NotThere(String),
    /// It has more bytes than allowed.
    TooLarge,
    /// The proxy could not be reached, or answered something else.
    Failed(String),
}

/// Follows within one origin, and to other hosts of the internet; never from https to http, and never to another of
/// the `proxies`, whose names may stand for private addresses. Where the machine's HTTP proxy looks names up, nobody
/// here can tell what is on the internet.
fn redirect(attempt: Attempt<'_>, proxies: &[String], behind_proxy: bool) -> reqwest::redirect::Action {
    let Some(from) = attempt.previous().last() else { return attempt.stop() };
    let to = attempt.url();
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("too many redirects");
    }
    if from.origin() == to.origin() {
        return attempt.follow();
    }
    if to.scheme() != "https" && (to.scheme() != "http" || from.scheme() == "https") {
        let text = format!("a redirect to {}: is not followed", to.scheme());
        return attempt.error(text);
    }
    let host = to.host_str().unwrap_or_default();
    if behind_proxy {
        return attempt.error("behind an HTTP proxy a redirect to another host is not followed");
    }
    if proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(host)) {
        return attempt.error("a redirect to another module proxy is not followed");
    }
    if !is_name_or_public(host) || host == "localhost" || host.ends_with(".localhost") {
        return attempt.error("a redirect to a private address is not followed");
    }
    attempt.follow()
}

async fn get_one(client: &Client, proxy: &Url, path: &str, limit: u64) -> Result<Bytes, GetError> {
    let mut url = proxy.clone();
    url.set_path(&format!("{}/{path}", proxy.path().trim_end_matches('/')));
    let mut tries = 1;
    loop {
        let answer = match client.get(url.clone()).send().await {
            Ok(answer) => answer,
            Err(error) if tries < TRIES && error.is_connect() => {
                pause(&mut tries).await;
                continue;
            }
            Err(error) => return Err(failed(&error)),
        };
        match answer.status() {
            StatusCode::OK => return body(answer, limit).await,
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(GetError::NotThere(words(answer).await)),
            status
                if tries < TRIES && (status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS) =>
            {
                pause(&mut tries).await;
            }
            status => return Err(GetError::Failed(format!("the module proxy answered {status}"))),
        }
    }
}

async fn pause(tries: &mut u32) {
    tokio::time::sleep(PAUSE * *tries).await;
    *tries += 1;
}

async fn body(mut answer: Response, limit: u64) -> Result<Bytes, GetError> {
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(GetError::TooLarge);
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(GetError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// What a proxy says about a module that it does not have; printable text only.
async fn words(answer: Response) -> String {
    let bytes = body(answer, WORDS_BYTES).await.unwrap_or_default();
    let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() { "the module proxy does not have it".to_owned() } else { text }
}

/// The innermost cause, which is the one that says something; no URL, which may hold a password.
fn failed(error: &reqwest::Error) -> GetError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = if error.is_timeout() { "it did not answer in time".to_owned() } else { cause.to_string() };
    GetError::Failed(format!("the module proxy could not be asked: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_proxies_is_gos_without_direct() {
        let hosts = |list: &str| format!("{:?}", ModuleProxy::parse(list).unwrap());
        assert_eq!(
            hosts("https://a.example/x,https://b.example|direct"),
            r#"Some(["a.example", "b.example"])"#
        );
        for none in ["", "off", "direct", "direct,off"] {
            assert_eq!(ModuleProxy::parse(none), Ok(None), "{none:?}");
        }
        for wrong in
            ["a.example", "file:///modules", "https://a.example,ftp://b.example", "https://a.example?x"]
        {
            assert!(ModuleProxy::parse(wrong).is_err(), "{wrong:?}");
        }
        let secret = ModuleProxy::parse("ftp://user:password@host").unwrap_err().to_string();
        assert!(!secret.contains("password"), "{secret}");
    }
}
