//! `--follow`: what the server writes into the function's log while it deploys, as it comes.

use anyhow::bail;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::super::resource::{Found, Steps, cell, until_settled};
use crate::api::Api;

const PAUSE: Duration = Duration::from_millis(200);
/// Lines that are asked for at once.
const PAGE_SIZE: usize = 100;

/// Deploys, prints the steps, and waits for the end.
pub(super) async fn deploy(api: &Api, function: &Found, steps: &Steps) -> anyhow::Result<Value> {
    let mut tail = Tail::after_now(api, &function.id).await?;
    let path = format!("{}/{}/deploy", function.list, function.id);
    let answer = api.call(Method::POST, &path, Some(&json!({}))).await?;
    let settled = until_settled(api, function.list, answer, steps);
    tokio::pin!(settled);
    let result = loop {
        // Cancellation: `settled` is kept over the turns; a pause that is cut off has done nothing.
        tokio::select! {
            result = &mut settled => break result,
            () = sleep(PAUSE) => tail.print(api, steps).await?,
        }
    };
    tail.print(api, steps).await?;
    result
}

/// The end of a function's log.
struct Tail {
    function_id: String,
    /// Id of the last line that is known.
    known: Option<String>,
}

impl Tail {
    /// Knows what is there already.
    async fn after_now(api: &Api, function_id: &str) -> anyhow::Result<Self> {
        let mut tail = Self { function_id: function_id.to_owned(), known: None };
        tail.known =
            tail.page(api, "timestamp_desc&page_size=1").await?.first().and_then(id).map(str::to_owned);
        Ok(tail)
    }

    /// Prints what came since.
    async fn print(&mut self, api: &Api, steps: &Steps) -> anyhow::Result<()> {
        loop {
            let after = self.known.as_ref().map(|id| format!("&after={id}")).unwrap_or_default();
            let lines = self.page(api, &format!("timestamp_asc&page_size={PAGE_SIZE}{after}")).await?;
            for line in &lines {
                steps.line(&cell(line["message"].as_str().unwrap_or_default()));
            }
            if let Some(last) = lines.last() {
                self.known = id(last).map(str::to_owned);
            }
            if lines.len() < PAGE_SIZE {
                return Ok(());
            }
        }
    }

    /// A page of the log.
    async fn page(&self, api: &Api, order: &str) -> anyhow::Result<Vec<Value>> {
        let path = format!("logs?application_id={}&order_by={order}", self.function_id);
        match api.call(Method::GET, &path, None).await?["logs"].take() {
            Value::Array(lines) => Ok(lines),
            _ => bail!("the server's answer has no logs"),
        }
    }
}

fn id(line: &Value) -> Option<&str> {
    line["id"].as_str()
}
