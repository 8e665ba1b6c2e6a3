//! A small registry in memory that records every request, and a script that may answer in its stead.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response};
use bytes::Bytes;
use oci::client::{Client, Credentials, Options, Retry};
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::{Digest, Image, ImageLayer, Reference};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Method and path, for scripts and assertions: `PUT /v2/a/manifests/1`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target.split('?').next().unwrap())
    }
}

/// May answer a request; the number says how many with the same method and path came before.
pub(crate) type Script = dyn Fn(&Seen, usize) -> Option<Response<Body>> + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    blobs: Mutex<HashMap<String, Bytes>>,
    manifests: Mutex<HashMap<String, (String, Bytes)>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(
        script: impl Fn(&Seen, usize) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(State {
            script: Box::new(script),
            seen: Mutex::default(),
            blobs: Mutex::default(),
            manifests: Mutex::default(),
        });
        let shared = state.clone();
        let router = axum::Router::new().fallback(move |request| serve(shared.clone(), request));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, task }
    }

    pub(crate) fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.address)).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many requests had this line.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.seen().iter().filter(|seen| seen.line() == line).count()
    }

    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.state.blobs.lock().unwrap().contains_key(digest.as_str())
    }

    pub(crate) fn add_blob(&self, bytes: &'static [u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.state.blobs.lock().unwrap().insert(digest.to_string(), Bytes::from_static(bytes));
        digest
    }

    pub(crate) fn has_manifest(&self, tag: &str) -> bool {
        self.state.manifests.lock().unwrap().contains_key(tag)
    }
}

async fn serve(state: Arc<State>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let seen = Seen { method: parts.method, target, headers: parts.headers, body };
    let before = {
        let mut all = state.seen.lock().unwrap();
        let before = all.iter().filter(|other| other.line() == seen.line()).count();
        all.push(seen.clone());
        before
    };
    (state.script)(&seen, before).unwrap_or_else(|| answer(&state, &seen))
}

/// What a registry without mounts answers. Sessions live at a relative Location with a query.
fn answer(state: &State, seen: &Seen) -> Response<Body> {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let last = path.rsplit('/').next().unwrap().to_owned();
    match (seen.method.as_str(), path) {
        ("POST", path) if path.ends_with("/blobs/uploads/") => {
            status(202).with("location", "session?_state=a%3D%3D&x")
        }
        ("PUT", path) if path.ends_with("/blobs/uploads/session") => {
            let Some(digest) = query.strip_prefix("_state=a%3D%3D&x&digest=") else {
                return refusal(400, "BLOB_UPLOAD_INVALID", "the state did not come back as it was given");
            };
            let digest = digest.replace("%3A", ":");
            if Digest::of(&seen.body).as_str() != digest {
                return refusal(400, "DIGEST_INVALID", "other content");
            }
            assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
            state.blobs.lock().unwrap().insert(digest, seen.body.clone());
            status(201)
        }
        ("HEAD" | "GET", path) if path.contains("/blobs/") => match state.blobs.lock().unwrap().get(&last) {
            Some(bytes) => Response::new(Body::from(bytes.clone())),
            None => refusal(404, "BLOB_UNKNOWN", "no such blob"),
        },
        ("PUT", path) if path.contains("/manifests/") => {
            let media_type = seen.header("content-type").unwrap().to_owned();
            state.manifests.lock().unwrap().insert(last, (media_type, seen.body.clone()));
            status(201)
        }
        ("GET", path) if path.contains("/manifests/") => match state.manifests.lock().unwrap().get(&last) {
            Some((media_type, bytes)) => {
                Response::new(Body::from(bytes.clone())).with("content-type", media_type)
            }
            None => refusal(404, "MANIFEST_UNKNOWN", "no such manifest"),
        },
        _ => refusal(404, "UNSUPPORTED", "not here"),
    }
}

pub(crate) trait With {
    fn with(self, name: &'static str, value: &str) -> Self;
}

impl With for Response<Body> {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers_mut().insert(name, value.parse().unwrap());
        self
    }
}

pub(crate) fn status(code: u16) -> Response<Body> {
    Response::builder().status(code).body(Body::empty()).unwrap()
}

pub(crate) fn refusal(code: u16, name: &str, message: &str) -> Response<Body> {
    let body = format!(r#"{{"errors":[{{"code":"{name}","message":"{message}"}}]}}"#);
    Response::builder().status(code).body(Body::from(body)).unwrap()
}

pub(crate) fn json(body: String) -> Response<Body> {
    Response::new(Body::from(body)).with("content-type", "application/json")
}

/// Closes the connection without an answer.
pub(crate) fn hang_up() -> ! {
    // Unwinds the connection's task without the panic hook's output.
    std::panic::resume_unwind(Box::new("hung up"))
}

pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) fn anonymous() -> Client {
    client(Credentials::Anonymous)
}

pub(crate) fn me() -> Client {
    client(Credentials::Basic { user: "me".to_owned(), password: PASSWORD.to_owned() })
}

/// A client that does not wait long.
pub(crate) fn client(credentials: Credentials) -> Client {
    let (first, longest) = (Duration::from_millis(2), Duration::from_secs(5));
    let retry = Retry { attempts: 4, first, longest, silence: Duration::from_secs(20) };
    Client::new(Options { credentials, plain_http: true, retry, ..Options::default() }).unwrap()
}

/// The `Authorization` that [`me`] sends where name and password are wanted.
pub(crate) fn basic() -> String {
    format!("Basic {}", basic_of("me", PASSWORD))
}

/// Name and password as they travel.
pub(crate) fn basic_of(user: &str, password: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

/// An image of one layer to mount from `base/x` and one of its own.
pub(crate) fn image() -> Image {
    let layer = |text: &'static str| {
        let layer = MemoryLayer::gzip(Bytes::from_static(text.as_bytes()), Digest::of(b"tar"));
        ImageLayer::new(Arc::new(layer))
    };
    let mut base = layer("base");
    base.mount_from = Some("base/x".to_owned());
    Image::assemble(ImageConfig::default(), vec![base, layer("code")], BTreeMap::new())
}

pub(crate) const POST: &str = "POST /v2/a/blobs/uploads/";
pub(crate) const PUT: &str = "PUT /v2/a/blobs/uploads/session";
pub(crate) const MANIFEST: &str = "PUT /v2/a/manifests/1";
