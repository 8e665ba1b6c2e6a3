//! What an operator has locked is read, not written.

use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn writes_to_a_locked_function_and_namespace_are_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    server
        .state
        .store
        .write("function.update", async |tx| {
            sqlx::query("UPDATE applications SET state = 'locked'").execute(&mut *tx).await?;
            sqlx::query("UPDATE namespaces SET state = 'locked'").execute(tx).await?;
            Ok(())
        })
        .await
        .unwrap();
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
}
