//! A server's API, as commands reach it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

/// Where the API key is looked for.
const KEY: &str = "ZIPSHIP_API_KEY";
/// Where a server answers that was told nothing else.
const OWN_URL: &str = "http://127.0.0.1:8080";
/// The key of such a server.
const OWN_CREDENTIALS: &str = "/var/lib/zipship/credentials.json";
/// Elements in a page of a list; servers cut larger ones to this.
const PAGE_SIZE: usize = 100;

/// Which server, and who asks. The API key is read from $ZIPSHIP_API_KEY, so that it stands in no list of processes.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// Where the server answers.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ZIPSHIP_URL",
        default_value = OWN_URL
    )]
    url: String,
    /// File with the API key, such as `credentials.json` of the server's data directory; without it, the key is read
    /// from $ZIPSHIP_API_KEY, else, for the server of this machine, from /var/lib/zipship/credentials.json.
    #[arg(long, global = true, value_name = "FILE", env = "ZIPSHIP_CREDENTIALS")]
    credentials: Option<PathBuf>,
    /// Region of the resources.
    #[arg(long, global = true, value_name = "NAME", env = "ZIPSHIP_REGION", default_value = "fr-par")]
    region: String,
}

fn read_key(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let parsed = serde_json::from_slice::<Credentials>(&text);
    Ok(parsed.with_context(|| format!("{} is no file with an API key", file.display()))?.api_key)
}

/// A client with a key.
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// What the server does not do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// The error's `type`.
    kind: String,
    message: String,
}

impl Refused {
    /// Whether the same may succeed later: the fault is the server's.
    pub(crate) fn is_passing(&self) -> bool {
        ["internal", "unavailable"].contains(&self.kind.as_str())
    }
}

#[derive(Deserialize)]
struct Credentials {
    api_key: String,
}

impl Access {
    /// A client.
    pub(crate) fn client(&self) -> anyhow::Result<Api> {
        let key = match &self.credentials {
            Some(file) => read_key(file)?,
            None => std::env::var(KEY).or_else(|_| self.own_key()).with_context(|| {
                format!("the API key is missing: set ${KEY}, or name a file with --credentials")
            })?,
        };
        let base = format!("{}/functions/v1alpha2/regions/{}", self.url.trim_end_matches('/'), self.region);
        Ok(Api { http: reqwest::Client::builder().build()?, base, key })
    }

    /// On the server's own machine, for who may read it: the key that the server made at its first start. It goes to
    /// no other server.
    fn own_key(&self) -> anyhow::Result<String> {
        ensure!(self.url == OWN_URL, "{} is not the server of this machine", self.url);
        read_key(Path::new(OWN_CREDENTIALS))
    }
}

impl Api {
    /// The client itself, for URLs that carry their own right.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// No answer came, and what to do about it.
    fn unanswered(&self, error: reqwest::Error) -> anyhow::Error {
        let server = self.base.split_once("/functions/").map_or(self.base.as_str(), |(server, _)| server);
        let what = match error.is_connect() {
            true => format!("no server can be reached at {server} (--url or $ZIPSHIP_URL names another)"),
            false => format!("asking {server}"),
        };
        anyhow::Error::new(error.without_url()).context(what)
    }

    /// What is at a path; `None` when the server says that there is nothing.
    pub(crate) async fn find(&self, path: &str) -> anyhow::Result<Option<Value>> {
        match self.call(Method::GET, path, None).await {
            Ok(found) => Ok(Some(found)),
            Err(error)
                if error.downcast_ref::<Refused>().is_some_and(|refused| refused.kind == "not_found") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Calls an operation; what it refuses is an error with the server's own words, a [`Refused`].
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/{path}", self.base);
        let mut request = self.http.request(method, &url).header("X-Auth-Token", &self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unanswered(error))?;
        let status = response.status();
        let answer = response.json::<Value>().await;
        if status.is_success() {
            return answer.with_context(|| format!("{url} answers {status} without JSON"));
        }
        let answer = answer.unwrap_or_default();
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        let message = text("message").unwrap_or_else(|| format!("{url} answers {status}"));
        Err(Refused { kind: text("type").unwrap_or_default(), message }.into())
    }

    /// All elements of a list, which is called `name` in the answers; `query` ends with `&` unless it is empty.
    pub(crate) async fn list(&self, name: &str, query: &str) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        for page in 1.. {
            let path = format!("{name}?{query}page={page}&page_size={PAGE_SIZE}");
            let mut answer = self.call(Method::GET, &path, None).await?;
            let Value::Array(rows) = answer[name].take() else { bail!("the server's answer has no {name}") };
            let is_last = rows.len() < PAGE_SIZE;
            all.extend(rows);
            if is_last {
                break;
            }
        }
        Ok(all)
    }
}
