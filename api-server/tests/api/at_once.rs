//! What many callers do at once: no change is lost, and no quota is overrun.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server};

/// Sends each change in a task of its own, all at once.
async fn patch_all(client: &Client, path: &str, changes: &[Value]) {
    let send = |change: &Value| {
        let (client, path, change) = (client.clone(), path.to_owned(), change.clone());
        tokio::spawn(async move { client.patch(&path, change).await })
    };
    for answer in join_all(changes.iter().map(send)).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_different_fields_at_once_are_all_kept() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    let other = client.function(&namespace, "g").await;
    let container = json!({"name": "c", "namespace_id": namespace});
    let container = client.post("containers", container).await.id();
    let cron = json!({"application_id": function, "schedule": "@daily"});
    let cron = client.post("crons", cron).await.id();
    let shared = [
        ("description", json!("d")),
        ("environment_variables", json!({"A": "1"})),
        ("memory_limit", json!(512)),
        ("timeout", json!(1234)),
        ("min_scale", json!(1)),
        ("max_scale", json!(7)),
        ("privacy", json!("private")),
    ];
    let own = |fields: &[(&'static str, Value)]| [&shared[..], fields].concat();
    for (path, fields) in [
        (format!("namespaces/{namespace}"), shared[..2].to_vec()),
        (format!("functions/{function}"), own(&[("runtime", json!("node22")), ("handler", json!("a.b"))])),
        (format!("containers/{container}"), own(&[])),
        (
            format!("crons/{cron}"),
            vec![
                ("application_id", json!(other)),
                ("schedule", json!("5 4 * * *")),
                ("args", json!({"a": 1})),
            ],
        ),
    ] {
        let changes: Vec<_> = fields.iter().map(|(name, value)| json!({(*name): value})).collect();
        patch_all(&client, &path, &changes).await;
        let now = client.get(&path).await.body;
        for (name, value) in &fields {
            assert_eq!(now[*name], *value, "{path}: {name} was lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_creates_at_the_edge_of_a_quota_exactly_one_passes() {
    let server = Server::with(|config| {
        let quotas = &mut config.quotas;
        (quotas.namespaces, quotas.functions, quotas.containers, quotas.crons) = (2, 2, 2, 2);
    })
    .await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    client.post("containers", json!({"name": "c", "namespace_id": namespace})).await.id();
    client.post("crons", json!({"application_id": function, "schedule": "@daily"})).await.id();
    for (list, resource) in [
        ("namespaces", "namespace"),
        ("functions", "function"),
        ("containers", "container"),
        ("crons", "cron"),
    ] {
        let create = |number: usize| {
            let client = client.clone();
            let body = json!({
                "name": format!("x{number}"), "namespace_id": namespace,
                "application_id": function, "schedule": "@hourly",
            });
            tokio::spawn(async move { client.post(list, body).await })
        };
        let answers = join_all((0..6).map(create)).await.into_iter().map(Result::unwrap);
        let (made, refused): (Vec<Answer>, Vec<Answer>) = answers.partition(|answer| answer.status == 200);
        assert_eq!((made.len(), refused.len()), (1, 5), "{list}");
        for answer in refused {
            answer.assert_error(403, "quotas_exceeded");
            assert_eq!(answer.body["details"], json!([{"resource": resource, "quota": 2, "current": 2}]));
        }
        assert_eq!(client.get(list).await.body["total_count"], 2);
        // Another organization has a quota of its own, and what goes makes room.
        assert_eq!(server.client().await.get(list).await.body["total_count"], 0);
    }
    assert_eq!(server.client().await.post("namespaces", json!({"name": "n"})).await.status, 200);
    let cron = client.get("crons").await.body["crons"][0]["id"].as_str().unwrap().to_owned();
    client.delete(&format!("crons/{cron}")).await.id();
    client.post("crons", json!({"application_id": function, "schedule": "@weekly"})).await.id();
}
