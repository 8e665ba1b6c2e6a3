//! Who reaches which repository of the embedded registry.

use api_server::registry_access::RegistryAccess;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use registry::{Action, Authorize as _, Denied};

use crate::harness::Server;

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn a_key_reaches_its_own_repositories_and_the_service_all() {
    let server = Server::start().await;
    let (owner, other) = (server.client().await, server.client().await);
    let namespace = owner.namespace("mine").await;
    let access = RegistryAccess::new(server.state.store.clone(), None);
    let ask = async |credentials: Option<&str>, repository: &str| {
        access.authorize(credentials, repository, Action::Push).await
    };
    let own = basic("userdoesnotmatter", owner.key.as_deref().unwrap());
    let foreign = basic("x", other.key.as_deref().unwrap());
    assert_eq!(ask(Some(&own), "mine/f").await, Ok(()));
    assert_eq!(ask(Some(&own), "").await, Ok(()));
    for repository in ["base/node10", "mine", "mine2/f", "other/f"] {
        assert_eq!(ask(Some(&own), repository).await, Err(Denied::Forbidden), "{repository}");
    }
    assert_eq!(ask(Some(&foreign), "mine/f").await, Err(Denied::Forbidden));
    let wrong = basic("zipship-service", "11111111-1111-4111-8111-111111111111");
    for nobody in [None, Some("Bearer x"), Some("Basic !"), Some(wrong.as_str())] {
        assert_eq!(ask(nobody, "mine/f").await, Err(Denied::Unauthenticated), "{nobody:?}");
        assert_eq!(ask(nobody, "").await, Err(Denied::Unauthenticated), "{nobody:?}");
    }
    let (user, password) = access.service_credential();
    let service = basic(user, password);
    for repository in ["base/node10", "mine/f", ""] {
        assert_eq!(ask(Some(&service), repository).await, Ok(()), "{repository}");
    }
    // The images stay the owner's when the namespace is gone, and come back with its name.
    owner.delete(&format!("namespaces/{namespace}")).await;
    crate::harness::eventually(async || {
        (owner.get(&format!("namespaces/{namespace}")).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(ask(Some(&own), "mine/f").await, Ok(()));
    let again = owner.namespace("mine").await;
    let endpoint = owner.get(&format!("namespaces/{again}")).await.body["registry_endpoint"].clone();
    assert_eq!(endpoint, "api.test:8080/mine");
}

#[tokio::test]
async fn the_first_start_makes_one_key_and_keeps_it() {
    let server = Server::start().await;
    let file = server.data().join("first.json");
    let first = server.state.store.bootstrap(&file).await.unwrap().unwrap();
    let known = server.state.store.organization_of_key(&first.key).await.unwrap();
    assert_eq!(known, Some(first.organization_id.clone()));
    assert_eq!(server.state.store.bootstrap(&file).await.unwrap(), None);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains(&first.key));
    assert!(!format!("{first:?}").contains(&first.key));
}
