//! Keys and regions, and what is no operation. Whose resources are seen: `described/tenants.rs`.

use crate::harness::Server;

#[tokio::test]
async fn without_a_known_key_nothing_is_told() {
    let server = Server::start().await;
    for path in ["namespaces", "functions", "runtimes", "containers", "jwt/issue"] {
        server.stranger().get(path).await.assert_error(401, "denied_authentication");
    }
    let mut wrong = server.client().await;
    wrong.key = Some("11111111-1111-4111-8111-111111111111".into());
    wrong.get("namespaces").await.assert_error(401, "denied_authentication");
    let owner = server.client().await;
    wrong.key = Some(server.state.store.create_key(&owner.organization_id, None, Some(1)).await.unwrap().key);
    wrong.get("namespaces").await.assert_error(401, "denied_authentication");
    wrong.key = Some(server.state.store.create_key(&owner.organization_id, None, None).await.unwrap().key);
    assert_eq!(wrong.get("namespaces").await.status, 200);
}

#[tokio::test]
async fn regions_paths_and_methods_are_answered_in_json() {
    let server = Server::start().await;
    let client = server.client().await;
    let send = async |method: &str, uri: &str| {
        let key = client.key.clone().unwrap();
        let request = http::Request::builder().method(method).uri(uri).header("x-auth-token", key);
        client.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let base = "/functions/v1alpha2/regions";
    send("GET", &format!("{base}/us-east/namespaces")).await.assert_argument("region", "unknown");
    let nowhere = send("GET", "/nowhere").await;
    nowhere.assert_error(404, "not_found");
    assert_eq!(nowhere.body["message"], "path /nowhere was not found; GET /docs shows those that there are");
    send("GET", &format!("{base}/fr-par/nowhere")).await.assert_error(404, "not_found");
    let other_method = send("PUT", &format!("{base}/fr-par/namespaces")).await;
    other_method.assert_error(405, "method_not_allowed");
    assert_eq!(other_method.headers["allow"], "GET,HEAD,POST");
    let namespace = client.namespace("n").await;
    let elsewhere = format!("{base}/nl-ams/namespaces/{namespace}");
    send("GET", &elsewhere).await.assert_error(404, "not_found");
}
