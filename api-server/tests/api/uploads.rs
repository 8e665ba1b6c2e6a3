//! Attacks on uploads.

use api_server::archives::{Method, Presigned};
use axum::body::{Body, Bytes};

use crate::harness::Server;

#[tokio::test]
async fn only_exactly_the_announced_bytes_are_kept() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    let upload_url = format!("functions/{id}/upload-url");
    client.get(&upload_url).await.assert_argument("content_length", "required");
    for bad in ["0", "x", "-1", "104857601"] {
        let path = format!("{upload_url}?content_length={bad}");
        client.get(&path).await.assert_argument("content_length", "constraint");
    }
    let url = client.upload_url(&id, 5).await;
    // Refused by the header alone: this body panics when it is read.
    let unread = || {
        Body::from_stream(futures_util::stream::poll_fn(
            |_| -> std::task::Poll<Option<Result<Bytes, std::io::Error>>> { panic!("the body was read") },
        ))
    };
    client.put(&url, unread(), Some(4)).await.assert_argument("content_length", "constraint");
    client.put(&url, unread(), Some(6)).await.assert_argument("content_length", "constraint");
    // Without a length they are counted.
    for body in ["abcd", "abcdef", ""] {
        client.put(&url, body, None).await.assert_argument("content_length", "constraint");
    }
    let announced_more = client.put(&url, "abcd", Some(5)).await;
    announced_more.assert_argument("content_length", "constraint");
    client
        .post(&format!("functions/{id}/deploy"), serde_json::json!({}))
        .await
        .assert_error(412, "precondition_failed");
    assert_eq!(std::fs::read_dir(server.data().join("archives")).unwrap().count(), 0);

    // The last complete one wins; the other is for the collector.
    assert_eq!(client.put(&url, "abcde", None).await.status, 200);
    assert_eq!(client.put(&url, "fghij", Some(5)).await.status, 200);
    let archive = server
        .state
        .store
        .application_by_id::<api_server::store::Code>(&id)
        .await
        .unwrap()
        .unwrap()
        .archive
        .unwrap();
    let path = server.state.archives.disk().unwrap().path(&archive.key);
    assert_eq!(std::fs::read(path).unwrap(), b"fghij");
    assert_eq!(std::fs::read_dir(server.data().join("archives")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_changed_or_expired_url_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let (id, other) = (client.function(&namespace, "f").await, client.function(&namespace, "g").await);
    let url = client.upload_url(&id, 5).await;
    let longer = url.replace("X-Zipship-Length=5", "X-Zipship-Length=6");
    let mut forged = vec![longer, url.replace(&id, &other), url.split_once('?').unwrap().0.to_owned()];
    let last = if url.ends_with('0') { "1" } else { "0" };
    forged.push(format!("{}{last}", &url[..url.len() - 1]));
    for url in forged {
        client.put(&url, "abcde", Some(5)).await.assert_error(403, "permissions_denied");
    }
    let get = http::Request::get(&url).body(Body::empty()).unwrap();
    client.send(get).await.assert_error(403, "permissions_denied");
    let key = url.split(['/', '?']).nth(2).unwrap().to_owned();
    let expired = Presigned { method: Method::Put, key, function_id: id.clone(), bytes: 5, expires: 1 };
    let expired = server.state.presigner.path_and_query(&expired);
    let answer = client.put(&expired, "abcde", Some(5)).await;
    assert!(
        answer.assert_error(403, "permissions_denied").body["message"].as_str().unwrap().contains("expired")
    );
    client.delete(&format!("functions/{id}")).await;
    assert!(client.put(&url, "abcde", Some(5)).await.status.is_client_error());
}
