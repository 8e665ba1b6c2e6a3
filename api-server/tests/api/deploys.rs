//! The journal of deploys, and secrets at rest.

use std::time::Duration;

use api_server::{
    secrets::{Keys, Sealer},
    store::{
        Store, StoreError,
        deploys::{Deploy, DeployState},
    },
};
use serde_json::json;

use crate::harness::{Client, Server, live};

const LEASE: Duration = Duration::from_secs(60);
const NO_LEASE: Duration = Duration::ZERO;

async fn deployable(server: &Server) -> (Client, String) {
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    client.upload(&id, b"zip").await;
    (client, id)
}

async fn request(client: &Client, id: &str) {
    assert_eq!(client.post(&format!("functions/{id}/deploy"), json!({})).await.body["status"], "pending");
}

async fn walk(store: &Store, mut deploy: Deploy, to: DeployState) -> Deploy {
    while deploy.state < to {
        let next = deploy.state.next().unwrap();
        let digest = (next == DeployState::Pushing).then_some("sha256:abc");
        if next == DeployState::Verifying {
            store.create_revision(&deploy, "ns/f", "sha256:abc").await.unwrap();
        }
        deploy = store.step_deploy(&deploy, next, digest, LEASE).await.unwrap();
    }
    deploy
}

#[tokio::test]
async fn a_deploy_goes_to_ready_with_its_revision_live() {
    let server = Server::start().await;
    let store = &server.state.store;
    let (client, id) = deployable(&server).await;
    client.patch(&format!("functions/{id}"), json!({"environment_variables": {"A": "own"}})).await;
    request(&client, &id).await;
    let deploy = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    assert_eq!(
        (deploy.state, deploy.attempt, deploy.repository.as_str()),
        (DeployState::Queued, 1, format!("n/f-{}", &id[..8]).as_str())
    );
    assert!(store.claim_deploy("you", LEASE).await.unwrap().is_none());
    let skip = store.step_deploy(&deploy, DeployState::Pushing, None, LEASE).await;
    assert!(matches!(skip, Err(StoreError::Forbidden { .. })), "{skip:?}");
    assert!(matches!(store.deploy_ready(&deploy).await, Err(StoreError::Forbidden { .. })));
    let deploy = walk(store, deploy, DeployState::Switching).await;
    assert_eq!(client.get(&format!("functions/{id}")).await.body["status"], "pending");
    store.deploy_ready(&deploy).await.unwrap();
    assert_eq!(client.get(&format!("functions/{id}")).await.body["status"], "ready");
    let live = live(store).await;
    assert_eq!((live.len(), live[0].version, live[0].image_digest.as_str()), (1, 1, "sha256:abc"));
    assert_eq!(store.live_revision(&id).await.unwrap().as_ref(), Some(&live[0]));
    let launch = store.launch(&live[0].id).await.unwrap();
    assert_eq!(launch.environment.expose().get("A").map(String::as_str), Some("own"));
    assert!(launch.public_key.contains("RSA PUBLIC KEY"));
    assert!(store.unfinished_deploys().await.unwrap().is_empty());
    let steps = store.deploy_steps(&deploy.id).await.unwrap();
    assert!(
        steps.iter().all(|step| step.ended.is_some() && step.outcome.as_deref() == Some("done")),
        "{steps:?}"
    );
    // Now that a version is live, a change of what runs redeploys, another does not.
    let path = format!("functions/{id}");
    assert_eq!(
        client.patch(&path, json!({"description": "x", "min_scale": 1})).await.body["status"],
        "ready"
    );
    assert_eq!(client.patch(&path, json!({"timeout": 7, "redeploy": false})).await.body["status"], "ready");
    assert_eq!(client.patch(&path, json!({"timeout": 8})).await.body["status"], "pending");
    let second = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    assert_eq!(second.config.timeout_ms, 8);
    let second = walk(store, second, DeployState::Verifying).await;
    store.deploy_failed(&second, "handler.js: no such file").await.unwrap();
    let failed = client.get(&path).await.body;
    assert_eq!(
        (failed["status"].clone(), failed["error_message"].clone()),
        (json!("error"), json!("handler.js: no such file"))
    );
    assert_eq!(store.live_revision(&id).await.unwrap().unwrap().version, 1);
    // The failed one left no gap.
    request(&client, &id).await;
    let third = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    let third = walk(store, third, DeployState::Switching).await;
    store.deploy_ready(&third).await.unwrap();
    assert_eq!(store.live_revision(&id).await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_newer_deploy_supersedes_but_spares_one_that_switches() {
    let server = Server::start().await;
    let store = &server.state.store;
    let (client, id) = deployable(&server).await;
    request(&client, &id).await;
    let first = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    let first = walk(store, first, DeployState::Verifying).await;
    request(&client, &id).await;
    let ended = store.deploy(&first.id).await.unwrap();
    assert_eq!(ended.state, DeployState::Error);
    assert!(ended.error.unwrap().starts_with("superseded by"));
    let late = store.step_deploy(&first, DeployState::Switching, None, LEASE).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    assert!(matches!(store.deploy_failed(&first, "x").await, Err(StoreError::Stale { .. })));
    assert_eq!(client.get(&format!("functions/{id}")).await.body["status"], "pending");

    let second = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    let second = walk(store, second, DeployState::Switching).await;
    request(&client, &id).await;
    assert!(store.claim_deploy("me", LEASE).await.unwrap().is_none(), "one after the other");
    store.deploy_ready(&second).await.unwrap();
    assert_eq!(client.get(&format!("functions/{id}")).await.body["status"], "pending");
    let third = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    assert_eq!(third.generation, 3);
}

#[tokio::test]
async fn a_lost_lease_is_claimed_anew_and_the_old_worker_writes_no_more() {
    let server = Server::start().await;
    let store = &server.state.store;
    let (client, id) = deployable(&server).await;
    request(&client, &id).await;
    let first = store.claim_deploy("dead", NO_LEASE).await.unwrap().unwrap();
    let first = store.step_deploy(&first, DeployState::Fetching, None, LEASE).await.unwrap();
    let first = store.step_deploy(&first, DeployState::Building, None, LEASE).await.unwrap();
    assert!(store.claim_deploy("me", LEASE).await.unwrap().is_none());
    store.release_leases().await.unwrap();
    let again = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    assert_eq!(
        (again.id.as_str(), again.attempt, again.state),
        (first.id.as_str(), 2, DeployState::Fetching)
    );
    assert!(matches!(store.renew_lease(&first, LEASE).await, Err(StoreError::Stale { .. })));
    store.renew_lease(&again, LEASE).await.unwrap();
    client.delete(&format!("functions/{id}")).await;
    let gone = store.renew_lease(&again, LEASE).await;
    assert!(matches!(gone, Err(StoreError::Stale { .. } | StoreError::Missing { .. })), "{gone:?}");
}

#[tokio::test]
async fn the_state_is_there_after_the_store_is_opened_again() {
    let server = Server::start().await;
    let (client, id) = deployable(&server).await;
    request(&client, &id).await;
    server.state.store.close().await;
    let master = Keys::load_or_create(&server.state.config.key_file()).unwrap();
    let store = Store::open(&server.state.config.database(), Sealer::new(&master)).await.unwrap();
    assert_eq!(store.unfinished_deploys().await.unwrap().len(), 1);
    let first = store.bootstrap(&server.state.config.first_key_file()).await.unwrap();
    assert!(first.is_none(), "there is an organization already");
    let refused = store.write("not.listed", async |_| Ok(())).await;
    assert!(matches!(refused, Err(StoreError::UnlistedWrite("not.listed"))));
}

#[tokio::test]
async fn secrets_are_ciphertext_on_disk_and_do_not_open_in_another_row() {
    let server = Server::start().await;
    let (client, id) = deployable(&server).await;
    let path = format!("functions/{id}");
    let variables = json!({"MARKER_NAME": "marker-7f3a9c"});
    client.patch(&path, json!({"description": "open-7f3a9c", "environment_variables": variables})).await;
    request(&client, &id).await;
    let key = client.key.clone().unwrap();
    let kept = server.kept().await;
    let holds = |bytes: &[u8], marker: &str| bytes.windows(marker.len()).any(|w| w == marker.as_bytes());
    assert!(kept.iter().any(|(_, bytes)| holds(bytes, "open-7f3a9c")), "what is no secret is found");
    for (name, bytes) in kept {
        for marker in ["marker-7f3a9c", "MARKER_NAME", "PRIVATE KEY", key.as_str()] {
            assert!(!holds(&bytes, marker), "{marker} in {name}");
        }
    }
    let namespace = client.get(&path).await.body["namespace_id"].as_str().unwrap().to_owned();
    let other = client.function(&namespace, "other").await;
    server
        .state
        .store
        .write("function.update", async |tx| {
            sqlx::query("UPDATE applications SET environment = (SELECT environment FROM applications WHERE id = $1) WHERE id = $2")
                .bind(id.clone())
                .bind(other.clone())
                .execute(tx)
                .await?;
            Ok(())
        })
        .await
        .unwrap();
    let moved = client.get(&format!("functions/{other}")).await;
    moved.assert_error(500, "internal");
}
