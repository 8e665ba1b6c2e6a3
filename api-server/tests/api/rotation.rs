//! The key that seals is rotated: nothing is lost, whoever writes meanwhile and wherever it is killed.

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use api_server::{
    Config, killpoint,
    rotation::{self, Rotated},
    secrets::{KeyId, Keys, Sealer},
    store::{SEALED, Store, StoreError},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};

use crate::harness::{Client, Server};

/// Where a child finds the store that it rotates: the data directory, and PostgreSQL's URL if it lies there.
const DATA: &str = "ZIPSHIP_TEST_ROTATE_DATA";
const DATABASE: &str = "ZIPSHIP_TEST_ROTATE_DATABASE";

/// A store beside the server's, as a command opens it.
async fn beside(config: &Config) -> Store {
    let keys = Keys::load(&config.key_file()).unwrap();
    Store::open(&config.database(), Sealer::new(&keys)).await.unwrap()
}

async fn rotate(config: &Config) -> Rotated {
    let store = beside(config).await;
    let rotated = rotation::rotate(&store).await.unwrap();
    store.close().await;
    rotated
}

/// Tables and columns of all values in the store that have bytes, and the key that each value names.
async fn keys_of_values(store: &Store, is_postgres: bool) -> Vec<(String, KeyId)> {
    let columns = if is_postgres {
        "SELECT table_name::text AS t, column_name::text AS c FROM information_schema.columns
         WHERE data_type = 'bytea' AND table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'"
    } else {
        "SELECT m.name AS t, p.name AS c FROM sqlite_schema m JOIN pragma_table_info(m.name) p
         WHERE m.type = 'table' AND p.type = 'BYTEA' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'"
    };
    let mut found = Vec::new();
    for row in sqlx::query(columns).fetch_all(store.readers()).await.unwrap() {
        let (table, column): (String, String) = (row.get("t"), row.get("c"));
        let sql = format!("SELECT {column} AS v FROM {table} WHERE {column} IS NOT NULL");
        for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(store.readers()).await.unwrap() {
            let value: Vec<u8> = row.get("v");
            let shown: String = value[1..5].iter().map(|byte| format!("{byte:02x}")).collect();
            let id = store.sealer().keys().ids().into_iter().find(|id| id.to_string() == shown);
            found.push((format!("{table}.{column}"), id.expect("a key that is in the file")));
        }
    }
    found
}

/// One value at least in every sealed column; the function's id, and its live revision's.
async fn sealed_world(server: &Server, client: &Client) -> (String, String) {
    let namespace = client.namespace("n").await;
    let variables = json!({"environment_variables": {"OF": "the namespace"}});
    assert_eq!(client.patch(&format!("namespaces/{namespace}"), variables).await.status, 200);
    let function = client.function(&namespace, "f").await;
    let variables = json!({"environment_variables": {"OF": "the function"}});
    assert_eq!(client.patch(&format!("functions/{function}"), variables).await.status, 200);
    client.upload(&function, b"zip").await;
    let revision = deploy(server, client, &function).await;
    (function, revision)
}

/// Deploys as far as the store goes; the revision's id.
async fn deploy(server: &Server, client: &Client, function: &str) -> String {
    let store = &server.state.store;
    assert_eq!(client.post(&format!("functions/{function}/deploy"), json!({})).await.status, 200);
    let lease = Duration::from_secs(60);
    let deploy = store.claim_deploy("me", lease).await.unwrap().unwrap();
    store.create_revision(&deploy, "ns/f", "sha256:abc").await.unwrap().id
}

async fn everything_opens(server: &Server, client: &Client, function: &str, revision: &str) {
    let variables = &client.get(&format!("functions/{function}")).await.body["environment_variables"];
    assert_eq!(variables, &json!({"OF": "the function"}));
    let namespace = client.get("namespaces").await.body["namespaces"][0].clone();
    assert_eq!(namespace["environment_variables"], json!({"OF": "the namespace"}));
    let launch = server.state.store.launch(revision).await.unwrap();
    assert_eq!(launch.environment.expose()["OF"], "the function");
    let key = server.state.store.signing_key(namespace["id"].as_str().unwrap()).await.unwrap().unwrap();
    assert!(key.expose_secret().contains("PRIVATE KEY"));
}

fn is_postgres(server: &Server) -> bool {
    server.state.config.database_url.is_some()
}

#[tokio::test]
async fn every_value_is_sealed_with_the_new_key_and_the_old_one_leaves_the_file() {
    // A child of the test below.
    if let Ok(data) = std::env::var(DATA) {
        let mut config = Config::new(data.into());
        config.database_url = std::env::var(DATABASE).ok().map(|url| url.parse().unwrap());
        assert!(rotate(&config).await.removed.len() == 1);
        return;
    }
    let server = Server::start().await;
    let client = server.client().await;
    let (function, revision) = sealed_world(&server, &client).await;
    let url = client.upload_url(&function, 3).await;
    let config = &server.state.config;
    let old = Keys::load(&config.key_file()).unwrap().ids();
    let before = keys_of_values(&beside(config).await, is_postgres(&server)).await;
    let columns: BTreeSet<_> = before.iter().map(|(column, _)| column.as_str()).collect();
    assert_eq!(columns.len(), SEALED.len(), "each is listed, and each has a value: {columns:?}");

    let rotated = rotate(config).await;
    assert_eq!((rotated.values, rotated.resumed), (before.len() as u64, false));
    assert_eq!(rotated.removed, old);
    assert_eq!(Keys::load(&config.key_file()).unwrap().ids(), [rotated.key]);
    let store = beside(config).await;
    for (column, key) in keys_of_values(&store, is_postgres(&server)).await {
        assert_eq!(key, rotated.key, "{column}");
    }
    everything_opens(&server, &client, &function, &revision).await;
    assert_eq!(
        client.put(&url, "zip", Some(3)).await.status,
        200,
        "a URL of the old key is good until it ends"
    );
    store.require_own_keys().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_it_is_killed_anywhere() {
    let server = Server::start().await;
    let client = server.client().await;
    let (function, revision) = sealed_world(&server, &client).await;
    let config = &server.state.config;
    for name in ["keys.add", "secrets.reseal", "keys.remove"] {
        for point in [format!("{name}.before"), format!("{name}.after")] {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args([
                "--exact",
                "rotation::every_value_is_sealed_with_the_new_key_and_the_old_one_leaves_the_file",
            ]);
            child.env(DATA, server.data()).env(killpoint::KILL_AT, &point).stdout(Stdio::null());
            if let Some(url) = &config.database_url {
                child.env(DATABASE, url.expose());
            }
            let ended = tokio::task::spawn_blocking(move || child.status().unwrap()).await.unwrap();
            assert_eq!(ended.signal(), Some(9), "{point}");
            everything_opens(&server, &client, &function, &revision).await;
            // Whoever starts now can read it too.
            let fresh = beside(config).await;
            fresh.require_own_keys().await.unwrap();
            fresh.launch(&revision).await.unwrap();
            fresh.close().await;
            // The next one ends it, and adds no key to that of the one that was killed.
            let was_added = Keys::load(&config.key_file()).unwrap().ids();
            let rotated = rotate(config).await;
            assert_eq!(rotated.resumed, was_added.len() > 1, "{point}");
            if rotated.resumed {
                assert_eq!(rotated.key, was_added[0], "{point}");
            }
            assert_eq!(Keys::load(&config.key_file()).unwrap().ids(), [rotated.key], "{point}");
            everything_opens(&server, &client, &function, &revision).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_deploys_go_on_meanwhile_and_none_is_lost() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let mut functions = Vec::new();
    // More than one transaction takes.
    for number in 0..120 {
        functions.push(client.function(&namespace, &format!("f{number}")).await);
    }
    let over = AtomicBool::new(false);
    let change = async |functions: &[String]| {
        let mut last = 0;
        while !over.load(Ordering::SeqCst) {
            last += 1;
            for id in functions {
                let variables = json!({"environment_variables": {"LAST": last.to_string()}});
                assert_eq!(client.patch(&format!("functions/{id}"), variables).await.status, 200);
            }
        }
        last
    };
    let deploys = async {
        let (mut made, id) = (Vec::new(), &functions[110]);
        client.upload(id, b"zip").await;
        while !over.load(Ordering::SeqCst) {
            made.push(deploy(&server, &client, id).await);
        }
        made
    };
    let rotations = async {
        for _ in 0..3 {
            rotate(&server.state.config).await;
        }
        over.store(true, Ordering::SeqCst);
    };
    let (first, last, made, ()) =
        tokio::join!(change(&functions[..3]), change(&functions[100..103]), deploys, rotations);
    let (id, store) =
        (Keys::load(&server.state.config.key_file()).unwrap().ids(), beside(&server.state.config).await);
    assert_eq!(id.len(), 1);
    for (column, key) in keys_of_values(&store, is_postgres(&server)).await {
        assert_eq!(key, id[0], "{column}");
    }
    for (ids, value) in [(&functions[..3], first), (&functions[100..103], last)] {
        for id in ids {
            let found = client.get(&format!("functions/{id}")).await.body["environment_variables"].clone();
            assert_eq!(found, json!({"LAST": value.to_string()}));
        }
    }
    assert!(made.len() > 1);
    // Of superseded deploys the revisions are gone.
    server.state.store.launch(made.last().unwrap()).await.unwrap();
}

#[tokio::test]
async fn two_at_once_are_one() {
    let server = Server::start().await;
    let _held = rotation::lock(&server.state.config.key_file()).unwrap();
    let refused = rotation::rotate(&beside(&server.state.config).await).await.unwrap_err();
    assert!(refused.to_string().contains("under way"), "{refused}");
}

#[tokio::test]
async fn a_value_that_does_not_open_is_named_and_the_old_key_stays() {
    let server = Server::start().await;
    let client = server.client().await;
    let (function, _) = sealed_world(&server, &client).await;
    let set = async |sql: &'static str| {
        let set = async |tx: &mut sqlx::AnyConnection| {
            sqlx::query(sql).execute(tx).await?;
            Ok::<_, StoreError>(())
        };
        server.state.store.write("function.update", set).await.unwrap();
    };
    // Two rows of one table change places.
    let namespace = client.get("namespaces").await.body["namespaces"][0]["id"].as_str().unwrap().to_owned();
    let other = client.function(&namespace, "g").await;
    set("CREATE TABLE swapped AS SELECT id, environment FROM applications").await;
    set("UPDATE applications SET environment = (SELECT s.environment FROM swapped s WHERE s.id <> applications.id)").await;
    set("DROP TABLE swapped").await;
    for id in [&function, &other] {
        client.get(&format!("functions/{id}")).await.assert_error(500, "internal");
    }
    let refused = rotation::rotate(&beside(&server.state.config).await).await.unwrap_err().to_string();
    assert!(
        refused.contains("of applications cannot be sealed anew") && refused.contains("moved"),
        "{refused}"
    );
    assert!(refused.contains(&function) || refused.contains(&other), "{refused}");
    assert_eq!(Keys::load(&server.state.config.key_file()).unwrap().ids().len(), 2);
}

#[tokio::test]
async fn a_start_with_another_key_file_or_none_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    sealed_world(&server, &client).await;
    let config = &server.state.config;
    for name in ["another", "missing"] {
        let path = server.data().join(name);
        if name == "another" {
            Keys::load_or_create(&path).unwrap();
        }
        let keys = Keys::load_or_prepare(&path).unwrap();
        let store = Store::open(&config.database(), Sealer::new(&keys)).await.unwrap();
        let refused = store.require_own_keys().await.unwrap_err();
        assert!(matches!(refused, StoreError::OtherKeys { .. }), "{refused}");
        let own = Keys::load(&config.key_file()).unwrap().ids()[0].to_string();
        let text = refused.to_string();
        assert!(text.contains(&own) && text.contains(name) && text.contains("put back"), "{text}");
        assert_eq!(path.exists(), name == "another", "nothing is made in its place");
    }
    let Value::Object(_) = client.get("namespaces").await.body else { panic!("it still answers") };
}
