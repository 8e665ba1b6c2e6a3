//! The nouns of these tests: instances that are real HTTP servers on Unix sockets, inside this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway::{
    Address, BoxBody, BoxFuture, Gateway, GatewayConfig, Instances, Phase, Program, Revision, RouteState,
    StartFailure, StartFailureKind, StartedInstance, StopReason,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};

use crate::handlers;

pub(crate) const FUNCTION: &str = "5f0c1c7e-8f3a-4d7a-9d59-0f8d2f6f1a11";
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway over fake instances.
pub(crate) struct World {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) fake: Arc<Fake>,
}

pub(crate) struct Fake {
    directory: tempfile::TempDir,
    /// Starts wait for a permit each.
    pub(crate) starts: Semaphore,
    /// Handlers on `/hold` and `/stream` wait for a permit each.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) seen: Mutex<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) started: Vec<String>,
    pub(crate) stopped: Vec<String>,
    pub(crate) first_answers: Vec<String>,
    /// What handlers were asked, in order.
    pub(crate) asked: Vec<String>,
    /// The next starts fail like this.
    pub(crate) failures: Vec<StartFailure>,
    alive: BTreeMap<String, watch::Sender<bool>>,
}

impl Fake {
    /// Cuts all connections of an instance and refuses new ones, as its death does.
    pub(crate) fn kill(&self, instance: &str) {
        let alive = self.seen.lock().unwrap().alive.remove(instance);
        if let Some(alive) = alive {
            let _ = std::fs::remove_file(self.socket(instance));
            alive.send_replace(false);
        }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().asked.clone()
    }

    fn socket(&self, instance: &str) -> PathBuf {
        self.directory.path().join(instance)
    }

    async fn serve(
        self: Arc<Self>,
        revision: Arc<Revision>,
        instance: String,
        mut alive: watch::Receiver<bool>,
    ) {
        let listener = UnixListener::bind(self.socket(&instance)).unwrap();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                _ = alive.wait_for(|alive| !alive) => return,
            };
            let (fake, revision, instance) = (Arc::clone(&self), Arc::clone(&revision), instance.clone());
            let mut dead = alive.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    handlers::handle(Arc::clone(&fake), Arc::clone(&revision), instance.clone(), request)
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ = connection => {}
                    _ = dead.wait_for(|alive| !alive) => {}
                }
            });
        }
    }
}

struct Adapter(Arc<Fake>);

impl Instances for Adapter {
    fn start(
        &self,
        revision: Arc<Revision>,
        instance: String,
    ) -> BoxFuture<'static, Result<StartedInstance, StartFailure>> {
        let fake = Arc::clone(&self.0);
        Box::pin(async move {
            fake.seen.lock().unwrap().started.push(instance.clone());
            fake.starts.acquire().await.unwrap().forget();
            let alive = {
                let mut seen = fake.seen.lock().unwrap();
                if !seen.failures.is_empty() {
                    return Err(seen.failures.remove(0));
                }
                let alive = watch::Sender::new(true);
                let receiver = alive.subscribe();
                seen.alive.insert(instance.clone(), alive);
                receiver
            };
            let socket = fake.socket(&instance);
            tokio::spawn(Arc::clone(&fake).serve(revision, instance, alive));
            while !socket.exists() {
                tokio::task::yield_now().await;
            }
            let phases = vec![Phase { name: "create", duration: Duration::from_millis(3) }];
            Ok(StartedInstance { address: Address::Unix(socket), max_concurrency: 0, phases })
        })
    }

    fn stop(&self, instance: String, _: StopReason) -> BoxFuture<'static, ()> {
        let fake = Arc::clone(&self.0);
        Box::pin(async move {
            fake.kill(&instance);
            fake.seen.lock().unwrap().stopped.push(instance);
        })
    }

    fn first_answer(&self, instance: &str) {
        self.0.seen.lock().unwrap().first_answers.push(instance.to_owned());
    }
}

pub(crate) fn revision(id: &str) -> Revision {
    Revision {
        id: id.into(),
        program: Program::Function,
        function_id: FUNCTION.into(),
        version: 1,
        image_digest: format!("sha256:{id}"),
        public: true,
        timeout: Duration::from_secs(30),
        memory_mb: 128,
        min_scale: 0,
        max_scale: 1,
        max_concurrency: Some(1),
    }
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let fake = Arc::new(Fake {
            directory: tempfile::tempdir().unwrap(),
            starts: Semaphore::new(1000),
            gate: Arc::new(Semaphore::new(0)),
            seen: Mutex::default(),
        });
        let mut config = GatewayConfig::default();
        change(&mut config);
        Self { gateway: Gateway::new(config, Arc::new(Adapter(Arc::clone(&fake)))), fake }
    }

    /// With a live revision.
    pub(crate) fn serving(revision: Revision) -> Self {
        let world = Self::new(|_| {});
        world.gateway.restore(Arc::new(revision));
        world
    }

    pub(crate) fn request(path: &str) -> http::request::Builder {
        Request::get(format!("/f/{FUNCTION}{path}")).header("host", "example.org")
    }

    pub(crate) async fn send<B>(&self, request: Request<B>) -> Response<BoxBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<gateway::BodyError>,
    {
        let answer = self.gateway.forward(request, "127.0.0.1".parse().unwrap());
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Self::request(path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::read(self.send(request).await).await
    }

    /// A request in a task of its own.
    pub(crate) fn spawn(self: &Arc<Self>, path: &str) -> tokio::task::JoinHandle<Answer> {
        let (world, path) = (Arc::clone(self), path.to_owned());
        tokio::spawn(async move { world.get(&path).await })
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let met = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, met).await.is_err() {
            panic!("{what} did not happen: {:?}", self.gateway.snapshot());
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.gateway.snapshot().functions[0].waiting
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.gateway.snapshot().functions[0].instances.iter().map(|instance| instance.in_flight).sum()
    }

    pub(crate) fn started(&self) -> Vec<String> {
        self.fake.seen.lock().unwrap().started.clone()
    }

    pub(crate) fn stopped(&self) -> Vec<String> {
        self.fake.seen.lock().unwrap().stopped.clone()
    }

    pub(crate) fn fail_next(&self, kind: StartFailureKind) {
        let message = "ImportError: SECRET".to_owned();
        self.fake.seen.lock().unwrap().failures.push(StartFailure { message, kind });
    }

    pub(crate) fn route(&self, state: RouteState) {
        self.gateway.set_route(FUNCTION, state);
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response<BoxBody>) -> Self {
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("a body in time");
        let body = String::from_utf8(body.expect("a whole body").to_bytes().to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `type` of a platform error, after a check of the rest of its form.
    pub(crate) fn trouble(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).expect(&self.body);
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("access-control-allow-origin"), "*");
        assert_eq!(json["request_id"], self.header("x-request-id"));
        assert!(!json["message"].as_str().unwrap().is_empty());
        assert!(!self.body.contains("SECRET"), "{}", self.body);
        json["type"].as_str().unwrap().to_owned()
    }
}
