//! What an operator has locked is read, not written.

use api_server::store::StoreError;
use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn writes_to_a_locked_function_and_namespace_are_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    let locked = server.state.store.lock(&namespace).await.unwrap();
    assert_eq!((locked.kind.as_str(), locked.name.as_str(), locked.applications), ("namespace", "n", 1));
    for (method, path) in [
        ("PATCH", format!("functions/{id}")),
        ("DELETE", format!("functions/{id}")),
        ("POST", format!("functions/{id}/deploy")),
        ("GET", format!("functions/{id}/upload-url?content_length=1")),
        ("PATCH", format!("namespaces/{namespace}")),
        ("DELETE", format!("namespaces/{namespace}")),
    ] {
        client.call(method, &path, "{}").await.assert_error(423, "locked");
    }
    let create = client.post("functions", json!({"name": "g", "namespace_id": namespace})).await;
    create.assert_error(409, "transient_state");
    assert_eq!(create.body["current_state"], "locked");
    assert_eq!(client.get(&format!("functions/{id}")).await.body["status"], "locked");

    // Its function alone can't be unlocked, the namespace with it can.
    let alone = server.state.store.unlock(&id).await;
    assert!(matches!(alone, Err(StoreError::Locked { resource: "namespace", .. })), "{alone:?}");
    assert_eq!(server.state.store.unlock(&namespace).await.unwrap().applications, 1);
    assert_eq!(client.get(&format!("functions/{id}")).await.body["status"], "created");
    client.post("functions", json!({"name": "g", "namespace_id": namespace})).await.id();
    assert_eq!(client.patch(&format!("functions/{id}"), json!({"description": "d"})).await.status, 200);
}

#[tokio::test]
async fn a_lock_ends_the_deploy_that_waits_and_unlocked_the_function_is_as_the_last_one_left_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let store = &server.state.store;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    client.upload(&id, b"zip").await;
    assert_eq!(client.post(&format!("functions/{id}/deploy"), json!({})).await.body["status"], "pending");
    let locked = store.lock(&id).await.unwrap();
    assert_eq!((locked.kind.as_str(), locked.state.as_str()), ("function", "locked"));
    assert_eq!(store.lock(&id).await.unwrap(), locked, "twice is once");
    assert_eq!(store.locked_applications().await.unwrap(), [id.as_str()]);
    assert!(store.unfinished_deploys().await.unwrap().is_empty());
    assert_eq!(store.unlock(&id).await.unwrap().state, "created");
    assert!(store.locked_applications().await.unwrap().is_empty());
    assert!(matches!(store.unlock(&id).await, Err(StoreError::Transient { .. })), "not locked");
    let nobody = "11111111-1111-4111-8111-111111111111";
    assert!(matches!(store.lock(nobody).await, Err(StoreError::Missing { .. })));
    assert!(matches!(store.unlock(nobody).await, Err(StoreError::Missing { .. })));
}
