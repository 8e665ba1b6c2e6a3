//! A function, from create to call.

use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Answer, Api, Zip};

/// Compiling Go on a busy machine is the slowest of all deploys.
const DEPLOY_DEADLINE: Duration = Duration::from_secs(180);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What to create.
#[derive(Debug, Clone, Copy)]
pub struct Spec<'a> {
    /// Runtime's name.
    pub runtime: &'a str,
    /// Handler string.
    pub handler: &'a str,
    /// `public` or `private`.
    pub privacy: &'a str,
}

/// A function of a server.
#[derive(Debug, Clone)]
pub struct Function {
    api: Api,
    /// Its id.
    pub id: String,
    /// The namespace it is in.
    pub namespace: String,
    /// Where callers reach it.
    pub endpoint: String,
}

impl Function {
    /// Creates a namespace of its own and the function in it.
    ///
    /// # Errors
    /// When nobody answers.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn create(api: &Api, spec: Spec<'_>) -> anyhow::Result<Self> {
        let name = unique_name();
        let namespace = json!({"name": name, "organization_id": api.organization()});
        let namespace = api.post("namespaces", &namespace).await?.expect(200);
        let namespace = text(&namespace, "id");
        Self::create_in(api, &namespace, spec).await
    }

    /// Creates it in a namespace that exists.
    ///
    /// # Errors
    /// When nobody answers.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn create_in(api: &Api, namespace: &str, spec: Spec<'_>) -> anyhow::Result<Self> {
        let body = json!({
            "name": unique_name(), "namespace_id": namespace, "runtime": spec.runtime,
            "handler": spec.handler, "privacy": spec.privacy, "memory_limit": 128,
        });
        let created = api.post("functions", &body).await?.expect(200);
        assert_eq!(created["status"], "created", "{created}");
        let (id, endpoint) = (text(&created, "id"), text(&created, "endpoint"));
        Ok(Self { api: api.clone(), id, namespace: namespace.to_owned(), endpoint })
    }

    /// The same function at another server.
    #[must_use]
    pub fn at(&self, api: &Api) -> Self {
        Self { api: api.clone(), endpoint: format!("{}/f/{}", api.url(), self.id), ..self.clone() }
    }

    /// Creates, uploads, deploys, and waits until it is ready.
    ///
    /// # Errors
    /// When nobody answers, or it does not become ready.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn deployed(api: &Api, spec: Spec<'_>, archive: &Zip) -> anyhow::Result<Self> {
        let function = Self::create(api, spec).await?;
        function.redeploy(archive).await?;
        Ok(function)
    }

    /// Uploads and deploys, and waits until it is ready.
    ///
    /// # Errors
    /// When nobody answers, or it does not become ready.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn redeploy(&self, archive: &Zip) -> anyhow::Result<()> {
        self.upload(&archive.bytes()).await?;
        let settled = self.deploy().await?;
        if settled["status"] != "ready" {
            bail!("the deploy ended in {}: {}", settled["status"], settled["error_message"]);
        }
        Ok(())
    }

    /// Uploads an archive through a presigned URL.
    ///
    /// # Errors
    /// When nobody answers.
    ///
    /// # Panics
    /// When the upload is refused.
    pub async fn upload(&self, archive: &[u8]) -> anyhow::Result<()> {
        let url = self.upload_url(archive.len()).await?;
        let put = self.put(&url, archive).await?;
        assert_eq!(put.status, 200, "{}", put.text());
        Ok(())
    }

    /// A presigned URL for an archive of exactly `length` bytes.
    ///
    /// # Errors
    /// When nobody answers.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn upload_url(&self, length: usize) -> anyhow::Result<String> {
        let path = format!("functions/{}/upload-url?content_length={length}", self.id);
        Ok(text(&self.api.get(&path).await?.expect(200), "url"))
    }

    /// PUT of an archive, without a token.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn put(&self, url: &str, archive: &[u8]) -> anyhow::Result<Answer> {
        let request = self.api.request(Method::PUT, url).header("Content-Type", "application/octet-stream");
        Answer::of(request.body(archive.to_vec())).await
    }

    /// Starts a deploy and waits until it is `ready` or `error`; answers the function.
    ///
    /// # Errors
    /// When nobody answers, or it stays pending.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn deploy(&self) -> anyhow::Result<Value> {
        self.deploy_asking(POLL_EVERY).await
    }

    /// Like [`Function::deploy`], asking so often whether it is over.
    ///
    /// # Errors
    /// When nobody answers, or it stays pending.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn deploy_asking(&self, every: Duration) -> anyhow::Result<Value> {
        let _ = self.api.post(&format!("functions/{}/deploy", self.id), &json!({})).await?.expect(200);
        self.settled_asking(every).await
    }

    /// Waits until it is neither `pending` nor `creating`.
    ///
    /// # Errors
    /// When nobody answers, or it stays pending.
    ///
    /// # Panics
    /// When the API refuses.
    pub async fn settled(&self) -> anyhow::Result<Value> {
        self.settled_asking(POLL_EVERY).await
    }

    async fn settled_asking(&self, every: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + DEPLOY_DEADLINE;
        loop {
            let now = self.api.get(&format!("functions/{}", self.id)).await?.expect(200);
            if now["status"] != "pending" && now["status"] != "creating" {
                return Ok(now);
            }
            if Instant::now() > deadline {
                bail!("still {} after {DEPLOY_DEADLINE:?}", now["status"]);
            }
            tokio::time::sleep(every).await;
        }
    }

    /// GET of its endpoint.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn call(&self) -> anyhow::Result<Answer> {
        Answer::of(self.request(Method::GET, "")).await
    }

    /// A request to its endpoint; `path` begins with `/`, or is empty.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.api.request(method, &format!("{}{path}", self.endpoint))
    }
}

/// A field that must be a string.
#[track_caller]
fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no string in {value}")).to_owned()
}

fn unique_name() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
