//! The document's tutorial, as its curl lines send it.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::harness::{Server, eventually, path_of};

#[tokio::test]
async fn the_tutorial_goes_from_namespace_to_pending_deploy() {
    let server = Server::start().await;
    let client = server.client().await;
    let body = json!({
        "name": "your-namespace-name", "organization_id": client.organization_id,
        "environment_variables": {"YOUR_VARIABLE": "content"},
    });
    let namespace = client.post("namespaces", body).await;
    assert_eq!(namespace.body["status"], "creating");
    assert_eq!(namespace.body["environment_variables"], json!({"YOUR_VARIABLE": "content"}));
    assert_eq!(namespace.body["registry_endpoint"], "api.test:8080/your-namespace-name");
    let namespace_id = namespace.id();

    // At once: the create waits until the namespace is ready.
    let function = client
        .post(
            "functions",
            json!({"name": "function-name", "namespace_id": namespace_id, "memory_limit": 128, "min_scale": 0,
                "max_scale": 20, "runtime": "node10", "handler": "handler.myHandler"}),
        )
        .await;
    let id = function.id();
    assert_eq!(
        function.body,
        json!({
            "id": id, "name": "function-name", "namespace_id": namespace_id, "status": "created",
            "environment_variables": {}, "min_scale": 0, "max_scale": 20, "runtime": "node10",
            "memory_limit": 128, "cpu_limit": 70, "endpoint": format!("http://api.test:8080/f/{id}"),
            "timeout": 300_000, "handler": "handler.myHandler", "error_message": "", "privacy": "public",
            "description": null, "region": "fr-par",
        })
    );

    let archive = vec![7; 675];
    let presigned = client.get(&format!("functions/{id}/upload-url?content_length=675")).await;
    assert_eq!(
        presigned.body["headers"],
        json!({"content-length": ["675"], "content-type": ["application/octet-stream"]})
    );
    let url = presigned.body["url"].as_str().unwrap();
    assert!(url.starts_with("http://api.test:8080/archives/"), "{url}");
    let put = server.stranger().put(&path_of(url), archive.clone(), Some(675)).await;
    assert_eq!((put.status.as_u16(), put.body), (200, json!({})));

    let deployed = client.call("POST", &format!("functions/{id}/deploy"), "{}").await;
    assert_eq!(deployed.body["status"], "pending");
    assert_eq!(server.calls.pokes.load(Ordering::SeqCst), 1);
    // A GET with a JSON body, as some clients send it, and a trailing question mark.
    let polled = client.call("GET", &format!("functions/{id}?"), "null").await;
    assert_eq!(polled.body["status"], "pending");

    let download = client.get(&format!("functions/{id}/download-url")).await;
    let request = http::Request::get(path_of(download.body["url"].as_str().unwrap()));
    let got = server.stranger().send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((got.bytes, got.content_type.as_str()), (archive, "application/octet-stream"));

    let removed = client.delete(&format!("namespaces/{namespace_id}")).await;
    assert_eq!(removed.body["status"], "deleting");
    eventually(async || {
        (client.get(&format!("namespaces/{namespace_id}")).await.status == 404).then_some(())
    })
    .await;
    client.get(&format!("functions/{id}")).await.assert_error(404, "not_found");
    assert_eq!(server.calls.removals.load(Ordering::SeqCst), 1);
    assert_eq!(std::fs::read_dir(server.data().join("archives")).unwrap().count(), 0);
}
