//! API keys: made, listed, revoked. What counts is decided at each request.

use api_server::store::{Bootstrap, StoreError, hash_key, now_ms};
use sqlx::Row as _;

use crate::harness::Server;

#[tokio::test]
async fn a_key_is_good_until_it_is_revoked_or_expires() {
    let server = Server::start().await;
    let store = &server.state.store;
    let client = server.client().await;
    let mut caller = client.clone();
    let new = store.create_key(&client.organization_id, Some("ci"), None).await.unwrap();
    caller.key = Some(new.key.clone());
    assert_eq!(caller.get("namespaces").await.status, 200);
    assert_eq!(store.revoke_key(&new.row.id).await.unwrap(), new.row);
    caller.get("namespaces").await.assert_error(401, "denied_authentication");
    assert!(matches!(store.revoke_key(&new.row.id).await, Err(StoreError::Missing { resource: "key", .. })));
    // The key itself names nothing.
    let other = store.create_key(&client.organization_id, None, Some(now_ms() + 3_000)).await.unwrap();
    assert!(store.revoke_key(&other.key).await.is_err());
    caller.key = Some(other.key);
    assert_eq!(caller.get("namespaces").await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(3_100)).await;
    caller.get("namespaces").await.assert_error(401, "denied_authentication");
    // The first one is as good as ever.
    assert_eq!(client.get("namespaces").await.status, 200);
}

#[tokio::test]
async fn a_list_has_every_key_and_no_secret() {
    let server = Server::start().await;
    let store = &server.state.store;
    let (one, two) = (Bootstrap::random(), Bootstrap::random());
    for first in [&one, &two] {
        store.create_organization(first).await.unwrap();
    }
    let new = store.create_key(&two.organization_id, Some("ci"), Some(5)).await.unwrap();
    let listed = store.keys().await.unwrap();
    // Several of one millisecond come in any order.
    let of = |id: &str| listed.iter().filter(|row| row.organization_id == id).count();
    assert_eq!((of(&one.organization_id), of(&two.organization_id), listed.len()), (1, 2, 3));
    assert!(listed.contains(&new.row), "{listed:?}");
    let organizations = store.organizations().await.unwrap();
    assert!([&one, &two].iter().all(|first| organizations.contains(&first.organization_id)));
    assert_eq!(organizations.len(), 2);
    let nobody = store.create_key("11111111-1111-4111-8111-111111111111", None, None).await;
    assert!(matches!(nobody, Err(StoreError::Missing { resource: "organization", .. })));
    let hashes = sqlx::query("SELECT hash FROM api_keys").fetch_all(store.readers()).await.unwrap();
    let hashes: Vec<String> = hashes.iter().map(|row| row.try_get("hash").unwrap()).collect();
    assert!(hashes.contains(&hash_key(&new.key)) && !hashes.contains(&new.key));
}
