//! Functions.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn every_argument_outside_its_constraint_is_named() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    client
        .post("functions", json!({}))
        .await
        .assert_argument("name", "required")
        .assert_argument("namespace_id", "required");
    let wrong = [
        ("timeout", json!("300"), "constraint"),
        ("timeout", json!(0), "constraint"),
        ("timeout", json!(900_001), "constraint"),
        ("memory_limit", json!(300), "constraint"),
        ("min_scale", json!(21), "constraint"),
        ("min_scale", json!(-1), "constraint"),
        ("max_scale", json!(0), "constraint"),
        ("max_scale", json!(101), "constraint"),
        ("runtime", json!("node99"), "unknown"),
        ("handler", json!("../x.y"), "constraint"),
        ("privacy", json!("secret"), "constraint"),
        ("description", json!(1), "constraint"),
        ("environment_variables", json!({"A": 1}), "constraint"),
        ("environment_variables", json!([]), "constraint"),
    ];
    for (name, value, reason) in wrong {
        let mut body = json!({"name": "f", "namespace_id": namespace, "runtime": "node10"});
        body[name] = value;
        let answer = client.post("functions", body).await;
        answer.assert_argument(name, reason);
        if name == "timeout" {
            assert!(answer.body["message"].as_str().unwrap().contains("milliseconds"), "{answer:?}");
        }
    }
    let defaults =
        client.post("functions", json!({"name": "f", "namespace_id": namespace, "privacy": "unknown"})).await;
    assert_eq!(defaults.body["runtime"], "golang");
    assert_eq!(defaults.body["handler"], ".");
    assert_eq!(
        (defaults.body["memory_limit"].clone(), defaults.body["cpu_limit"].clone()),
        (json!(256), json!(140))
    );
    assert_eq!(defaults.body["privacy"], "public");
    let again = json!({"name": "f", "namespace_id": namespace});
    let twice = client.post("functions", again).await;
    assert!(
        twice.assert_argument("name", "constraint").body["message"]
            .as_str()
            .unwrap()
            .contains("already exists")
    );
    let nested = client.get(&format!("namespaces/{namespace}/functions")).await;
    assert_eq!(nested.body["total_count"], 1);
    let alias = json!({"name": "p", "namespace_id": namespace, "runtime": "python2"});
    assert_eq!(client.post("functions", alias).await.body["runtime"], "python");
    assert_eq!(
        client.get("runtimes").await.body,
        json!({"runtimes": [
            "golang", "node8", "node10", "node12", "node14", "node16", "node18", "node20", "node22", "node24",
            "python2", "python", "python39", "python3", "python311", "python313",
        ]})
    );
}

#[tokio::test]
async fn a_deploy_without_an_upload_says_what_to_do() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    for answer in [
        client.post(&format!("functions/{id}/deploy"), json!({})).await,
        client.patch(&format!("functions/{id}"), json!({"redeploy": true})).await,
    ] {
        answer.assert_error(412, "precondition_failed");
        assert!(answer.body["message"].as_str().unwrap().contains("upload-url"), "{answer:?}");
    }
    client.get(&format!("functions/{id}/download-url")).await.assert_error(412, "precondition_failed");
    assert_eq!(client.get(&format!("functions/{id}")).await.body["status"], "created");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_on_refusal() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    let path = format!("functions/{id}");
    let before = client.get(&path).await.body;
    let same = client.patch(&path, json!({"timeout": null, "privacy": "unknown", "x": 1})).await;
    assert_eq!(same.body, before);
    client
        .patch(&path, json!({"timeout": 5, "max_scale": 1, "min_scale": 2}))
        .await
        .assert_argument("min_scale", "constraint");
    assert_eq!(client.get(&path).await.body, before);
    let changed = client.patch(&path, json!({"min_scale": 1, "max_scale": 3, "memory_limit": 1024})).await;
    assert_eq!(
        (changed.body["max_scale"].clone(), changed.body["cpu_limit"].clone()),
        (json!(3), json!(560))
    );
    assert_eq!(server.calls.rescales.load(Ordering::SeqCst), 1);
    // Nothing is live, so nothing was deployed.
    assert_eq!(server.calls.pokes.load(Ordering::SeqCst), 0);
}
