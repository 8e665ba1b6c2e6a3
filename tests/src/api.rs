//! A client of the API, as a value: it says who asks.

use std::time::Duration;

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

/// A client with a key.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    key: String,
    organization: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Api {
    pub(crate) fn new(url: String, key: String, organization: String) -> Self {
        // A proxy of the machine has no business on loopback.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build();
        Self { http: http.expect("a client without special wishes"), url, key, organization }
    }

    /// Before the server runs.
    pub(crate) fn nowhere() -> Self {
        Self::new(String::new(), String::new(), String::new())
    }

    /// The same client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// The same client, which believes certificates that this one (PEM) has signed, and no others.
    ///
    /// # Errors
    /// When it is no certificate.
    pub fn trusting(&self, authority: &str) -> anyhow::Result<Self> {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes())?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90));
        Ok(Self { http: http.tls_certs_only([authority]).build()?, ..self.clone() })
    }

    /// `http://host:port` of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its key, a secret of this one test.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Organization of the key.
    #[must_use]
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// GET below `/functions/v1alpha2/regions/fr-par/`.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::GET, path, None).await
    }

    /// POST of JSON.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PATCH of JSON.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let url = format!("{}/functions/v1alpha2/regions/fr-par/{path}", self.url);
        let mut request = self.http.request(method, url).header("X-Auth-Token", &self.key);
        if let Some(body) = body {
            // As curl's -d sends it: JSON under a form's content type.
            request = request
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(serde_json::to_vec(body)?);
        }
        Answer::of(request).await
    }

    /// A request to any URL, without the key: uploads and endpoints.
    pub fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        self.http.request(method, url)
    }
}

impl Answer {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn of(request: reqwest::RequestBuilder) -> anyhow::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// With status and body, when it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: status {}, body {:?}", self.status, self.text()))
    }

    /// One header's value, empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let value =
            self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        value.unwrap_or_default()
    }

    /// The JSON of an answer with this status.
    ///
    /// # Panics
    /// With status and body, when the status is another.
    #[must_use]
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }
}
