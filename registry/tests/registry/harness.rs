//! A registry on a free port, its clients, and images to push.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use oci::client::{Client, Credentials, Options};
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::{Digest, Image, ImageLayer, Reference};
use registry::store::Disk;
use registry::{Action, Authorize, Denied, Limits, Registry};
use reqwest::{Method, RequestBuilder, Response};

/// Everybody may do everything.
pub(crate) struct Open;

impl Authorize for Open {
    fn authorize<'a>(
        &'a self,
        _: Option<&'a str>,
        _: &'a str,
        _: Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(async { Ok(()) })
    }
}

pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) disk: Disk,
    pub(crate) http: reqwest::Client,
    // Held: the store goes when the test ends.
    dir: Arc<tempfile::TempDir>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Arc::new(Open), Limits::default()).await
    }

    pub(crate) async fn with(authorize: Arc<dyn Authorize>, limits: Limits) -> Self {
        Self::over(Arc::new(tempfile::tempdir().unwrap()), authorize, limits).await
    }

    /// Another server over the same store; this one ends.
    pub(crate) async fn restarted(self) -> Self {
        self.task.abort();
        Self::over(self.dir.clone(), Arc::new(Open), Limits::default()).await
    }

    async fn over(dir: Arc<tempfile::TempDir>, authorize: Arc<dyn Authorize>, limits: Limits) -> Self {
        // The collector's tests have no minute.
        let fresh = std::time::Duration::from_millis(100);
        let disk = Disk::open(dir.path().join("store")).unwrap().with_fresh(fresh);
        let router = registry::router(Registry::new(disk.clone(), authorize).with_limits(limits));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { address, disk, http, dir, task }
    }

    /// The store's directory.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.address)).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        client(Credentials::Anonymous)
    }

    /// A request by hand; `path` begins with a slash, or is an answer's Location.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(method, path).body(body).send().await.unwrap()
    }

    /// Uploads a blob by hand.
    pub(crate) async fn upload(&self, repository: &str, bytes: &'static [u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        assert_eq!(self.send(Method::POST, &path, bytes).await.status(), 201);
        digest
    }
}

pub(crate) fn client(credentials: Credentials) -> Client {
    Client::new(Options { credentials, plain_http: true, ..Options::default() }).unwrap()
}

pub(crate) fn layer(text: &str) -> ImageLayer {
    let bytes = Bytes::from(text.to_owned());
    let diff_id = Digest::of(format!("tar of {text}").as_bytes());
    ImageLayer::new(Arc::new(MemoryLayer::gzip(bytes, diff_id)))
}

pub(crate) fn from(mut layer: ImageLayer, repository: &str) -> ImageLayer {
    layer.mount_from = Some(repository.to_owned());
    layer
}

pub(crate) fn image(layers: Vec<ImageLayer>) -> Image {
    Image::assemble(ImageConfig::default(), layers, BTreeMap::new())
}

/// A base of three layers.
pub(crate) fn base() -> Image {
    image(["system", "language", "shim"].map(layer).to_vec())
}

/// The layers of [`base`], mounted from `base/node10`, and these.
pub(crate) fn on_base(own: &[&str]) -> Image {
    let base = base().layers.into_iter().map(|layer| from(layer, "base/node10"));
    image(base.chain(own.iter().map(|text| layer(text))).collect())
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("no {name} in {response:?}")).to_str().unwrap()
}

/// The first error's code of an error body.
pub(crate) async fn code(response: Response) -> String {
    let text = response.text().await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    assert!(!body["errors"][0]["message"].as_str().unwrap().is_empty());
    body["errors"][0]["code"].as_str().unwrap().to_owned()
}
