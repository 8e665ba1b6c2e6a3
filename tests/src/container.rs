//! A container, from create to call.

use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Answer, Api};

/// Longer than a container may take to listen.
const DEPLOY_DEADLINE: Duration = Duration::from_secs(150);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// A container of a server.
#[derive(Debug, Clone)]
pub struct Container {
    api: Api,
    /// Its id.
    pub id: String,
    /// The namespace it is in.
    pub namespace: String,
    /// Where callers reach it.
    pub endpoint: String,
    /// The image that a deploy takes.
    pub image: String,
}

impl Container {
    /// Creates it in a namespace that exists; `fields` go over the defaults of tests.
    ///
    /// # Errors
    /// When nobody answers.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn create(api: &Api, namespace: &str, name: &str, fields: &Value) -> anyhow::Result<Self> {
        let mut body = json!({"name": name, "namespace_id": namespace, "memory_limit": 128});
        for (field, value) in fields.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        let made = api.post("containers", &body).await?.expect(200);
        let text = |field: &str| {
            made[field].as_str().unwrap_or_else(|| panic!("{field} is no string in {made}")).to_owned()
        };
        Ok(Self {
            api: api.clone(),
            id: text("id"),
            namespace: namespace.to_owned(),
            endpoint: text("endpoint"),
            image: text("registry_image"),
        })
    }

    /// Path below the region.
    #[must_use]
    pub fn path(&self) -> String {
        format!("containers/{}", self.id)
    }

    /// Starts a deploy and waits until it is `ready` or `error`; answers the container.
    ///
    /// # Errors
    /// When nobody answers, or it stays pending.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn deploy(&self) -> anyhow::Result<Value> {
        let _ = self.api.post(&format!("{}/deploy", self.path()), &json!({})).await?.expect(200);
        self.settled().await
    }

    /// Deploys and wants it ready.
    ///
    /// # Errors
    /// When it does not become ready.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn deployed(&self) -> anyhow::Result<()> {
        let settled = self.deploy().await?;
        if settled["status"] != "ready" {
            bail!("the deploy ended in {}: {}", settled["status"], settled["error_message"]);
        }
        Ok(())
    }

    /// Waits until it is not `pending`.
    ///
    /// # Errors
    /// When nobody answers, or it stays pending.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn settled(&self) -> anyhow::Result<Value> {
        let deadline = Instant::now() + DEPLOY_DEADLINE;
        loop {
            let now = self.api.get(&self.path()).await?.expect(200);
            if now["status"] != "pending" {
                return Ok(now);
            }
            if Instant::now() > deadline {
                bail!("still pending after {DEPLOY_DEADLINE:?}");
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// GET of its endpoint; `path` begins with `/`, or is empty.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn call(&self, path: &str) -> anyhow::Result<Answer> {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// A request to its endpoint.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.api.request(method, &format!("{}{path}", self.endpoint))
    }
}
