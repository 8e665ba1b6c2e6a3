//! How many requests are answered: by key, and by address where no good key is shown.

use api_server::rate::{Peer, Rate, Rates};
use axum::body::Body;
use http::Request;

use crate::harness::{Answer, Client, Server};

/// No second of a test is long enough for another one.
const FEW: Rate = Rate { per_second: 1, burst: 5 };

async fn from(client: &Client, address: &str, key: Option<&str>) -> Answer {
    let peer = Peer(address.parse().unwrap());
    let mut request = Request::get("/functions/v1alpha2/regions/fr-par/runtimes").extension(peer);
    if let Some(key) = key {
        request = request.header("x-auth-token", key);
    }
    client.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_keys_flood_is_refused_and_other_keys_do_not_notice() {
    let server = Server::with(|config| config.rates = Rates { key: FEW, address: Rate::UNLIMITED }).await;
    let (flood, other) = (server.client().await, server.client().await);
    let mut refused = 0;
    for _ in 0..20 {
        let answer = flood.get("runtimes").await;
        if answer.status == 200 {
            continue;
        }
        refused += 1;
        answer.assert_error(429, "too_many_requests");
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(answer.body["retry_after"], 1);
        assert!(answer.body["message"].as_str().unwrap().contains("with this API key"), "{answer:?}");
    }
    assert!(refused >= 10, "{refused}");
    for _ in 0..4 {
        assert_eq!(other.get("runtimes").await.status, 200);
    }
    // What is refused does nothing.
    flood
        .post("namespaces", serde_json::json!({"name": "late"}))
        .await
        .assert_error(429, "too_many_requests");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(flood.get("namespaces").await.body["total_count"], 0, "and the key is good again");
}

#[tokio::test]
async fn guesses_are_refused_by_address_and_a_key_that_is_known_is_not() {
    let server = Server::with(|config| config.rates = Rates { key: Rate::UNLIMITED, address: FEW }).await;
    let (known, new) = (server.client().await, server.client().await);
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    assert_eq!(from(&known, here, known.key.as_deref()).await.status, 200);
    let guesses: Vec<u16> = {
        let mut statuses = Vec::new();
        for guess in 0..15 {
            let guess = format!("{guess:08}-1111-4111-8111-111111111111");
            statuses.push(from(&known, here, Some(&guess)).await.status.as_u16());
        }
        statuses
    };
    assert!(guesses[..5].iter().all(|status| *status == 401), "{guesses:?}");
    assert!(guesses.iter().filter(|status| **status == 429).count() >= 8, "{guesses:?}");
    from(&known, here, None).await.assert_error(429, "too_many_requests");
    // Not even a good guess is told.
    from(&new, here, new.key.as_deref()).await.assert_error(429, "too_many_requests");
    assert_eq!(from(&new, there, new.key.as_deref()).await.status, 200);
    for _ in 0..10 {
        assert_eq!(from(&known, here, known.key.as_deref()).await.status, 200);
    }
}
