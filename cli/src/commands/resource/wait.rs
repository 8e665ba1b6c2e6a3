//! Waiting for what the server does in its own time.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::Value;

use crate::api::Api;

/// How often the server is asked: often at first, since most things take a moment.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(25), Duration::from_millis(50), Duration::from_millis(100)];
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What goes on, as one line that changes, at a terminal; elsewhere nothing.
pub(crate) struct Steps {
    bar: Option<ProgressBar>,
    name: String,
}

impl Steps {
    /// Of one resource, by its name.
    pub(crate) fn of(name: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, name: name.to_owned() }
    }

    /// What goes on now.
    pub(crate) fn now(&self, step: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {step}", self.name));
        }
    }

    /// Prints a whole line on standard error.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Waits while the resource of an answer is being made or deployed. That it ends in `error` is an error here, unless
/// it was so before.
pub(crate) async fn until_settled(
    api: &Api,
    list: &str,
    mut answer: Value,
    steps: &Steps,
) -> anyhow::Result<Value> {
    let path = format!("{list}/{}", answer["id"].as_str().context("the server's answer has no id")?);
    let mut waited = false;
    let mut pauses = PAUSES.into_iter();
    while let Some(status @ ("creating" | "pending")) = answer["status"].as_str() {
        steps.now(status);
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        answer = api.call(Method::GET, &path, None).await?;
        waited = true;
    }
    if waited && answer["status"] == "error" {
        let message = answer["error_message"].as_str().unwrap_or_default();
        let name = answer["name"].as_str().unwrap_or_default();
        bail!("{name} could not be deployed: {}", super::cell(message));
    }
    Ok(answer)
}

/// Waits until a resource is not there any more.
pub(crate) async fn until_gone(api: &Api, path: &str, steps: &Steps) -> anyhow::Result<()> {
    let mut pauses = PAUSES.into_iter();
    while api.find(path).await?.is_some() {
        steps.now("deleting");
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
    Ok(())
}
