//! `zipship cron` against the API, which is served from here.

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

/// Nothing is deployed here.
struct Nobody;

impl Deployments for Nobody {
    fn poke(&self) {}

    fn rescaled(&self, _: &str) {}

    fn removed(&self, _: &str) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

struct Served {
    folder: tempfile::TempDir,
    url: String,
    first: Bootstrap,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path().to_owned());
        let master = Keys::load_or_create(&config.key_file()).unwrap();
        let store = Store::serve(&config.database(), Sealer::new(&master)).await.unwrap();
        let first = store.bootstrap(&config.first_key_file()).await.unwrap().unwrap();
        let archives = Disk::open(&config.archives()).unwrap();
        let presigner = Presigner::new(&master);
        let logs = Logs::new(config.logs(), config.log_limits, store.clone());
        let state = AppState::new(config, store, archives, logs, presigner, std::sync::Arc::new(Nobody));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router(state)).await });
        Self { folder, url, first }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/functions/v1alpha2/regions/fr-par/{path}", self.url);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, url).header("X-Auth-Token", &self.first.key).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Id of a new function.
    async fn function(&self) -> String {
        let namespace = self.ask(Method::POST, "namespaces", json!({"name": "n"})).await;
        let body = json!({"name": "f", "namespace_id": namespace["id"], "runtime": "node22"});
        self.ask(Method::POST, "functions", body).await["id"].as_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zipship"));
        command.arg("cron").args(arguments).env("ZIPSHIP_URL", &self.url);
        command.env_remove("ZIPSHIP_API_KEY").env("NO_PROXY", "127.0.0.1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).env("ZIPSHIP_API_KEY", &self.first.key).output().unwrap()
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[arguments, &["--json"]].concat())).unwrap()
    }
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn crons_are_made_listed_changed_and_deleted() {
    let served = Served::start().await;
    let function = served.function().await;
    let made = served.json(&["create", &function, "--schedule", "0 9 * * mon-fri", "--args", r#"{"a": 1}"#]);
    assert_eq!((&made["schedule"], &made["args"]), (&json!("0 9 * * mon-fri"), &json!({"a": 1})));
    let id = made["id"].as_str().unwrap();
    assert_eq!(served.json(&["get", id]), made);
    assert_eq!(served.json(&["list"]), json!([made]));
    let changed = served.json(&["update", id, "--schedule", "@daily"]);
    assert_eq!((&changed["schedule"], &changed["args"]), (&json!("@daily"), &json!({"a": 1})));

    let table = served.said(&["list", "--application", &function]);
    let [head, row] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    assert!(head.starts_with("id ") && row.starts_with(id) && row.ends_with("never"), "{table}");
    assert_eq!(served.json(&["list", "--application", id]), json!([]), "nothing of that id is called");
    let shown = served.said(&["get", id]);
    assert!(shown.contains("schedule      @daily\nargs          {\"a\":1}\n"), "{shown}");
    assert_eq!(served.said(&["delete", id]), format!("deleted {id}\n"));
    assert!(error(&served.run(&["get", id])).contains(&format!("cron {id} was not found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_several_pages_is_whole() {
    let served = Served::start().await;
    let function = served.function().await;
    for _ in 0..101 {
        served.ask(Method::POST, "crons", json!({"application_id": function, "schedule": "@daily"})).await;
    }
    assert_eq!(served.json(&["list"]).as_array().unwrap().len(), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_in_the_servers_words() {
    let served = Served::start().await;
    let function = served.function().await;
    let refused = error(&served.run(&["create", &function, "--schedule", "0 0 31 2 *"]));
    assert_eq!(refused, "error: schedule: it never comes: no date and time fits it\n");
    let without = error(&served.command(&["list"]).output().unwrap());
    assert!(without.contains("set $ZIPSHIP_API_KEY"), "{without}");
    let file = served.folder.path().join("credentials.json");
    let with_file = served.command(&["list", "--json", "--credentials"]).arg(file).output().unwrap();
    assert_eq!(String::from_utf8(with_file.stdout).unwrap(), "[]\n");
    let wrong = served.command(&["list"]).env("ZIPSHIP_API_KEY", "x").output().unwrap();
    assert!(error(&wrong).contains("the API key in X-Auth-Token is unknown"));
    let no_object = served.run(&["create", &function, "--args", "[]"]);
    assert_eq!(no_object.status.code(), Some(2));
}
