//! Namespaces.

use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn a_namespace_is_checked_listed_changed() {
    let server = Server::start().await;
    let client = server.client().await;
    client.post("namespaces", json!({})).await.assert_argument("name", "required");
    client.post("namespaces", json!({"name": "-x"})).await.assert_argument("name", "constraint");
    client.post("namespaces", json!({"name": 1})).await.assert_argument("name", "constraint");
    client.call("POST", "namespaces", "{").await.assert_argument("body", "constraint");
    client.call("POST", "namespaces", "[]").await.assert_argument("body", "constraint");
    for name in ["SCW_X", "PORT", "_HANDLER", "ZIPSHIP_A", "AWS_LAMBDA_B", "1A", "A B", ""] {
        let body = json!({"name": "n", "environment_variables": {name: "v"}});
        client.post("namespaces", body).await.assert_argument("environment_variables", "constraint");
    }
    let large = json!({"name": "n", "environment_variables": {"A": "x".repeat(8193)}});
    client.post("namespaces", large).await.assert_argument("environment_variables", "constraint");
    let many: serde_json::Map<_, _> = (0..101).map(|n| (format!("A{n}"), json!("x"))).collect();
    let many = json!({"name": "n", "environment_variables": many});
    client.post("namespaces", many).await.assert_argument("environment_variables", "constraint");
    client.call("POST", "namespaces", "x".repeat((1 << 20) + 1)).await.assert_error(413, "payload_too_large");

    let id = client.namespace("b").await;
    client.post("namespaces", json!({"name": "b"})).await.assert_argument("name", "constraint");
    client.namespace("a").await;
    let names = async |query: &str| {
        let body = client.get(&format!("namespaces?{query}")).await.body;
        let names: Vec<_> =
            body["namespaces"].as_array().unwrap().iter().map(|n| n["name"].clone()).collect();
        (json!(names), body["total_count"].clone())
    };
    assert_eq!(names("").await, (json!(["b", "a"]), json!(2)));
    assert_eq!(names("order_by=name_asc&unknown=1").await, (json!(["a", "b"]), json!(2)));
    assert_eq!(names("name=a").await, (json!(["a"]), json!(1)));
    assert_eq!(names("page=2&page_size=1").await, (json!(["a"]), json!(2)));
    assert_eq!(names("page=99&page_size=100000").await, (json!([]), json!(2)));
    client.get("namespaces?order_by=x").await.assert_argument("order_by", "unknown");
    client.get("namespaces?page=0").await.assert_argument("page", "constraint");
    client.get("namespaces?page_size=x").await.assert_argument("page_size", "constraint");

    let path = format!("namespaces/{id}");
    let changed = client.patch(&path, json!({"description": "d", "environment_variables": {"A": "1"}})).await;
    assert_eq!(
        (changed.body["description"].clone(), changed.body["status"].clone()),
        (json!("d"), json!("ready"))
    );
    let unchanged = client.patch(&path, json!({"environment_variables": null, "x": 1})).await;
    assert_eq!(unchanged.body, changed.body);
    let emptied = client.patch(&path, json!({"environment_variables": {}})).await;
    assert_eq!(emptied.body["environment_variables"], json!({}));
}

#[tokio::test]
async fn a_taken_or_reserved_registry_name_gets_the_id_behind_it() {
    let server = Server::start().await;
    let (one, two) = (server.client().await, server.client().await);
    let endpoint = async |client: &crate::harness::Client, name: &str| {
        let id = client.namespace(name).await;
        (client.get(&format!("namespaces/{id}")).await.body["registry_endpoint"].clone(), id)
    };
    assert_eq!(endpoint(&one, "App").await.0, "api.test:8080/app");
    let (taken, id) = endpoint(&two, "App").await;
    assert_eq!(taken, format!("api.test:8080/app-{}", &id[..8]));
    let (reserved, id) = endpoint(&one, "base").await;
    assert_eq!(reserved, format!("api.test:8080/base-{}", &id[..8]));
}
