//! The nouns of the tests: a server, its callers, their answers.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use api_server::{
    AppState, Config, Deployments,
    archives::{ArchiveStore, Bucket, Disk, Presigner},
    http::router,
    logs::Logs,
    secrets::{Keys, Sealer},
    store::{Bootstrap, Revision, Store},
};
use axum::{Router, body::Body};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};
use tower::ServiceExt as _;

use crate::{database::TestDatabase, described};

/// Counts what the API tells whoever runs deploys.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) pokes: AtomicUsize,
    pub(crate) rescales: AtomicUsize,
    pub(crate) removals: AtomicUsize,
}

impl Deployments for Calls {
    fn poke(&self) {
        self.pokes.fetch_add(1, Ordering::SeqCst);
    }

    fn rescaled(&self, _: &str) {
        self.rescales.fetch_add(1, Ordering::SeqCst);
    }

    fn removed(&self, _: &str) -> BoxFuture<'static, ()> {
        self.removals.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {})
    }
}

pub(crate) struct Server {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) state: AppState,
    pub(crate) calls: Arc<Calls>,
    router: Router,
    document: Arc<Value>,
    database: Option<TestDatabase>,
}

/// Who asks.
#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
    document: Arc<Value>,
    pub(crate) key: Option<String>,
    pub(crate) organization_id: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
    pub(crate) headers: HeaderMap,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().to_owned());
        let database = (env!("CARGO_CRATE_NAME") == "api_postgres").then(TestDatabase::create);
        config.database_url = database.as_ref().map(TestDatabase::url);
        configure(&mut config);
        let master = Keys::load_or_create(&config.key_file()).unwrap();
        let store = Store::serve(&config.database(), Sealer::new(&master)).await.unwrap();
        let archives: ArchiveStore = match &config.bucket {
            Some(place) => Bucket::new(place.clone(), &config.bucket_access).unwrap().into(),
            None => Disk::open(&config.archives()).unwrap().into(),
        };
        let calls = Arc::new(Calls::default());
        let logs = Logs::new(config.logs(), config.log_limits, store.clone());
        let presigner = Presigner::new(&master);
        let deployments = calls.clone();
        let state = AppState::new(config, store, archives, logs, presigner, deployments, Arc::default());
        let router = router(state.clone());
        let document = Arc::new(document(router.clone()).await);
        Self { directory, state, calls, router, document, database }
    }

    /// All that it keeps, by name: its files, and rows of PostgreSQL with their bytes as they are.
    pub(crate) async fn kept(&self) -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(self.data()).unwrap().map(|entry| entry.unwrap().path());
        let mut kept: Vec<_> =
            files.filter_map(|file| Some((file.display().to_string(), std::fs::read(&file).ok()?))).collect();
        if self.database.is_some() {
            let mut reader = self.state.store.readers().acquire().await.unwrap();
            sqlx::raw_sql("SET bytea_output = 'escape'").execute(&mut *reader).await.unwrap();
            let rows = postgres_rows(&mut reader).await;
            kept.extend(rows.into_iter().map(|row| ("a row".to_owned(), row.into_bytes())));
        }
        kept
    }

    /// Changes with each write that another connection than this one commits.
    pub(crate) async fn version(&self, connection: &mut AnyConnection) -> String {
        match &self.database {
            Some(_) => postgres_rows(connection).await.join("\n"),
            None => {
                let version = sqlx::query_scalar::<_, i64>("PRAGMA data_version");
                version.fetch_one(connection).await.unwrap().to_string()
            }
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.directory.path()
    }

    /// What the API says about itself.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// Another organization's caller at each call.
    pub(crate) async fn client(&self) -> Client {
        let first = Bootstrap::random();
        self.state.store.create_organization(&first).await.unwrap();
        Client { key: Some(first.key), organization_id: first.organization_id, ..self.stranger() }
    }

    pub(crate) fn stranger(&self) -> Client {
        let (router, document) = (self.router.clone(), Arc::clone(&self.document));
        Client { router, document, key: None, organization_id: String::new() }
    }
}

impl Client {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert!(parts.headers.contains_key("x-request-id"));
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let content_type = parts.headers.get("content-type").map(|v| v.to_str().unwrap().to_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if !parts.status.is_success() {
            assert_ne!(body["message"].as_str().unwrap_or_default(), "", "{:?}: {bytes:?}", parts.status);
        }
        described::check(&self.document, &method, &path, parts.status, &body);
        let (status, headers) = (parts.status, parts.headers);
        Answer { status, content_type: content_type.unwrap_or_default(), body, bytes, headers }
    }

    /// A call below the region, with the content type that curl's `-d` sends.
    pub(crate) async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let uri = format!("/functions/v1alpha2/regions/fr-par/{path}");
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "api.test:8080")
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(key) = &self.key {
            request = request.header("x-auth-token", key);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, Body::empty()).await
    }

    /// Id of a new namespace that is `ready`.
    pub(crate) async fn namespace(&self, name: &str) -> String {
        let id = self.post("namespaces", json!({"name": name})).await.id();
        eventually(async || {
            (self.get(&format!("namespaces/{id}")).await.body["status"] == "ready").then_some(())
        })
        .await;
        id
    }

    /// Id of a new node function.
    pub(crate) async fn function(&self, namespace_id: &str, name: &str) -> String {
        let body = json!({"name": name, "namespace_id": namespace_id, "runtime": "node10"});
        self.post("functions", body).await.id()
    }

    /// Uploads bytes as the function's archive.
    pub(crate) async fn upload(&self, function_id: &str, archive: &[u8]) {
        let url = self.upload_url(function_id, archive.len()).await;
        assert_eq!(self.put(&url, archive.to_vec(), Some(archive.len())).await.status, 200);
    }

    /// Path and query of a presigned URL.
    pub(crate) async fn upload_url(&self, function_id: &str, bytes: usize) -> String {
        let answer = self.get(&format!("functions/{function_id}/upload-url?content_length={bytes}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        path_of(answer.body["url"].as_str().unwrap())
    }

    /// PUT without a key.
    pub(crate) async fn put(&self, url: &str, body: impl Into<Body>, length: Option<usize>) -> Answer {
        let mut request = Request::put(url).header("content-type", "application/octet-stream");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        self.send(request.body(body.into()).unwrap()).await
    }
}

impl Answer {
    pub(crate) fn id(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// Asserts status, type and, where there are details, the argument's name.
    pub(crate) fn assert_error(&self, status: u16, kind: &str) -> &Self {
        assert_eq!((self.status.as_u16(), self.body["type"].as_str()), (status, Some(kind)), "{self:?}");
        assert!(self.content_type.starts_with("application/json"), "{self:?}");
        self
    }

    pub(crate) fn assert_argument(&self, name: &str, reason: &str) -> &Self {
        self.assert_error(400, "invalid_arguments");
        let details = self.body["details"].as_array().unwrap();
        assert!(
            details.iter().any(|detail| detail["argument_name"] == name && detail["reason"] == reason),
            "{name} {reason}: {self:?}"
        );
        self
    }
}

async fn document(router: Router) -> Value {
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// All rows of all tables, with who wrote them and where they are.
async fn postgres_rows(connection: &mut AnyConnection) -> Vec<String> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let mut rows = Vec::new();
    for table in sqlx::query_scalar::<_, String>(tables).fetch_all(&mut *connection).await.unwrap() {
        let sql = format!("SELECT CAST(t AS TEXT) || t.xmin || t.ctid FROM {table} t ORDER BY t.ctid");
        let of_table = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql));
        rows.extend(of_table.fetch_all(&mut *connection).await.unwrap());
    }
    rows
}

/// What is live, as a start of the server finds it.
pub(crate) async fn live(store: &Store) -> Vec<Revision> {
    let mut live = Vec::new();
    store.each_live_revision(|revision| live.push(revision)).await.unwrap();
    live
}

/// What follows scheme and host.
pub(crate) fn path_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

/// Asks again until there is an answer, 20 s at most.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
