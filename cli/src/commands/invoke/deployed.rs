//! `zipship invoke NAME`: a request to a function or container of a server, at its public URL.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use api_server::store::now_ms;
use contract::api::Function;
use reqwest::Method;
use reqwest::redirect::Policy;

use super::super::registry::wait;
use super::super::resource::{Found, Resource as _, find_application};
use super::super::token;
use super::Invoke;
use crate::api::Api;
use crate::local::event::{Call, add_header};

/// How long the token of one request is good.
const TOKEN_LIFE_MS: i64 = 300_000;
/// Where a private function looks for its token first.
const TOKEN_HEADER: &str = "scw-functions-token";

impl Invoke {
    /// Sends one request to what is deployed.
    pub(super) fn run_deployed(&self, name: &str) -> anyhow::Result<ExitCode> {
        let call = self.call()?;
        let api = self.access.client()?;
        let failed = wait(self.ask(&api, name, call))??;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    async fn ask(&self, api: &Api, name: &str, mut call: Call) -> anyhow::Result<bool> {
        let found = find_application(api, name, self.namespace.as_deref()).await?;
        let application = api.call(Method::GET, &format!("{}/{}", found.list, found.id), None).await?;
        if application["status"] == "created" {
            bail!("{name} was never deployed; deploy it with: zipship deploy DIR --name {name}");
        }
        let endpoint = application["endpoint"].as_str().context("the server's answer has no endpoint")?;
        if application["privacy"] == "private" {
            let token = token_for(api, &found).await?;
            add_header(&mut call.headers, TOKEN_HEADER, &token).map_err(anyhow::Error::msg)?;
        }
        let url = format!("{}{}", endpoint.trim_end_matches('/'), call.target);
        // A redirection is an answer of the function's.
        let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
        let begin = Instant::now();
        let request = client.request(call.method, &url).headers(call.headers).body(call.body);
        let response = request.send().await.with_context(|| format!("asking {url}"))?;
        let outcome = self.take(http::Response::from(response), None, begin).await?;
        self.report(&outcome, Vec::new())?;
        Ok(outcome.status >= 500)
    }
}

async fn token_for(api: &Api, found: &Found) -> anyhow::Result<String> {
    let key = if found.list == Function::LIST { "function_id" } else { "container_id" };
    let issued = token::issue(api, key, &found.id, Some(now_ms() + TOKEN_LIFE_MS)).await?;
    Ok(issued["token"].as_str().context("the server's answer has no token")?.to_owned())
}
