//! A server's API, as commands reach it.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

/// Where the API key is looked for.
const KEY: &str = "ZIPSHIP_API_KEY";
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
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// File with the API key, such as `credentials.json` of the server's data directory; without it, the key is read
    /// from $ZIPSHIP_API_KEY.
    #[arg(long, global = true, value_name = "FILE", env = "ZIPSHIP_CREDENTIALS")]
    credentials: Option<PathBuf>,
    /// Region of the resources.
    #[arg(long, global = true, value_name = "NAME", env = "ZIPSHIP_REGION", default_value = "fr-par")]
    region: String,
}

/// A client with a key.
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

#[derive(Deserialize)]
struct Credentials {
    api_key: String,
}

impl Access {
    /// A client.
    pub(crate) fn client(&self) -> anyhow::Result<Api> {
        let key = match &self.credentials {
            Some(file) => {
                let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
                let parsed = serde_json::from_slice::<Credentials>(&text);
                parsed.with_context(|| format!("{} is no file with an API key", file.display()))?.api_key
            }
            None => std::env::var(KEY).with_context(|| {
                format!("the API key is missing: set ${KEY}, or name a file with --credentials")
            })?,
        };
        let base = format!("{}/functions/v1alpha2/regions/{}", self.url.trim_end_matches('/'), self.region);
        Ok(Api { http: reqwest::Client::builder().build()?, base, key })
    }
}

impl Api {
    /// Calls an operation; what it refuses is an error with the server's own words.
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
        let response = request.send().await.with_context(|| format!("asking {}", self.base))?;
        let status = response.status();
        let answer = response.json::<Value>().await;
        if status.is_success() {
            return answer.with_context(|| format!("{url} answers {status} without JSON"));
        }
        match answer.unwrap_or_default()["message"].as_str() {
            Some(message) => bail!("{message}"),
            None => bail!("{url} answers {status}"),
        }
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
