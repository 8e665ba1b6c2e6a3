//! Keys, regions, and that another organization's resources do not exist.

use serde_json::json;

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
    wrong.key = Some(server.state.store.create_key(&owner.organization_id, Some(1)).await.unwrap());
    wrong.get("namespaces").await.assert_error(401, "denied_authentication");
    wrong.key = Some(server.state.store.create_key(&owner.organization_id, None).await.unwrap());
    assert_eq!(wrong.get("namespaces").await.status, 200);
}

#[tokio::test]
async fn anothers_resource_looks_exactly_like_an_unknown_one() {
    let server = Server::start().await;
    let (owner, other) = (server.client().await, server.client().await);
    let namespace = owner.namespace("mine").await;
    let function = owner.function(&namespace, "f").await;
    owner.upload(&function, b"zip").await;
    let registry = owner.get(&format!("namespaces/{namespace}")).await.body["registry_namespace_id"].clone();
    let unknown = "11111111-1111-4111-8111-111111111111";
    let routes = [
        ("GET", "namespaces/{id}", &namespace, ""),
        ("PATCH", "namespaces/{id}", &namespace, "{}"),
        ("DELETE", "namespaces/{id}", &namespace, ""),
        ("GET", "namespaces/{id}/functions", &namespace, ""),
        ("GET", "functions?namespace_id={id}", &namespace, ""),
        ("GET", "jwt/issue?namespace_id={id}", &namespace, ""),
        ("POST", "functions", &namespace, r#"{"name": "x", "namespace_id": "{id}"}"#),
        ("GET", "functions/{id}", &function, ""),
        ("PATCH", "functions/{id}", &function, "{}"),
        ("DELETE", "functions/{id}", &function, ""),
        ("POST", "functions/{id}/deploy", &function, "{}"),
        ("GET", "functions/{id}/upload-url?content_length=3", &function, ""),
        ("GET", "functions/{id}/download-url", &function, ""),
        ("GET", "jwt/issue?function_id={id}", &function, ""),
    ];
    for (method, path, id, body) in routes {
        let ask = async |id: &str| {
            let answer = other.call(method, &path.replace("{id}", id), body.replace("{id}", id)).await;
            let text = String::from_utf8(answer.bytes).unwrap().replace(id, "ID");
            (answer.status, text)
        };
        let foreign = ask(id).await;
        assert_eq!(foreign, ask(unknown).await, "{method} {path}");
        assert!(foreign.0 == 404 || path.starts_with("functions?"), "{method} {path}: {foreign:?}");
    }
    assert_eq!(other.get("functions").await.body, json!({"functions": [], "total_count": 0}));
    let request = |id: &str| {
        http::Request::get(format!("/registry/v1beta2/regions/fr-par/namespaces/{id}"))
            .header("host", "h:1")
            .header("x-auth-token", other.key.clone().unwrap())
            .body(axum::body::Body::empty())
            .unwrap()
    };
    other.send(request(registry.as_str().unwrap())).await.assert_error(404, "not_found");
    let body = json!({"name": "x", "organization_id": owner.organization_id});
    other.post("namespaces", body).await.assert_error(403, "permissions_denied");
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
    send("GET", "/nowhere").await.assert_error(404, "not_found");
    send("GET", &format!("{base}/fr-par/nowhere")).await.assert_error(404, "not_found");
    send("PUT", &format!("{base}/fr-par/namespaces")).await.assert_error(405, "method_not_allowed");
    for path in ["containers", "containers/x/deploy", "crons", "crons/x", "logs", "namespaces/x/containers"] {
        send("GET", &format!("{base}/fr-par/{path}")).await.assert_error(501, "not_implemented");
    }
    let namespace = client.namespace("n").await;
    let elsewhere = format!("{base}/nl-ams/namespaces/{namespace}");
    send("GET", &elsewhere).await.assert_error(404, "not_found");
}
