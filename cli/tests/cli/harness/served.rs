//! The API, served by the test itself, and `zipship` as its client.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::process::{Command, Output};

use api_server::{
    AppState, Config, Deployments,
    archives::{Disk, Presigner},
    http::router,
    logs::Logs,
    secrets::{Keys, Sealer},
    store::{Bootstrap, Store},
};
use futures_util::future::BoxFuture;
use reqwest::Method;
use serde_json::{Value, json};

struct Nobody;

impl Deployments for Nobody {
    fn poke(&self) {}

    fn rescaled(&self, _: &str) {}

    fn removed(&self, _: &str) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// An API without instances: nothing is deployed here.
pub(crate) struct Served {
    pub(crate) folder: tempfile::TempDir,
    url: String,
    first: Bootstrap,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path().to_owned());
        let master = Keys::load_or_create(&config.key_file()).unwrap();
        let store = Store::serve(&config.database(), Sealer::new(&master)).await.unwrap();
        let first = store.bootstrap(&config.first_key_file()).await.unwrap().unwrap();
        let archives = Disk::open(&config.archives()).unwrap();
        let presigner = Presigner::new(&master);
        let logs = Logs::new(config.logs(), config.log_limits, store.clone());
        let state = AppState::new(
            config,
            store,
            archives,
            logs,
            presigner,
            std::sync::Arc::new(Nobody),
            std::sync::Arc::default(),
        );
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router(state)).await });
        Self { folder, url, first }
    }

    /// A request without the command.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/functions/v1alpha2/regions/fr-par/{path}", self.url);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, url).header("X-Auth-Token", &self.first.key).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Id of a new function.
    pub(crate) async fn function(&self) -> String {
        let namespace = self.ask(Method::POST, "namespaces", json!({"name": "n"})).await;
        let body = json!({"name": "f", "namespace_id": namespace["id"], "runtime": "node22"});
        self.ask(Method::POST, "functions", body).await["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zipship"));
        command.args(arguments).env("ZIPSHIP_URL", &self.url);
        command.env_remove("ZIPSHIP_API_KEY").env("NO_PROXY", "127.0.0.1");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).env("ZIPSHIP_API_KEY", &self.first.key).output().unwrap()
    }

    /// What a command that succeeds prints.
    pub(crate) fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[arguments, &["--json"]].concat())).unwrap()
    }
}

/// What a command said that failed.
pub(crate) fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}
