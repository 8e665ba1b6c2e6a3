//! Containers: every field, default, status and list row; whose image may be named.

use std::{sync::atomic::Ordering, time::Duration};

use api_server::{
    deploy::ForeignImages,
    store::deploys::{DeployState, Program},
};
use oci::client::Guard;
use serde_json::{Value, json};

use crate::harness::{Client, Server, eventually, live};

const LEASE: Duration = Duration::from_secs(60);

async fn container(client: &Client, namespace_id: &str, name: &str) -> String {
    client.post("containers", json!({"name": name, "namespace_id": namespace_id})).await.id()
}

#[tokio::test]
async fn a_container_is_made_as_the_tutorial_makes_it_and_answers_every_field() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("tutorial").await;
    let body = json!({"name": "container-name", "namespace_id": namespace, "memory_limit": 128, "min_scale": 0,
        "max_scale": 20});
    let made = client.post("containers", body).await;
    let id = made.id();
    let expected = json!({
        "id": id, "name": "container-name", "namespace_id": namespace, "status": "created",
        "environment_variables": {}, "min_scale": 0, "max_scale": 20, "memory_limit": 128, "cpu_limit": 70,
        "endpoint": format!("http://api.test:8080/f/{id}"), "timeout": 300_000, "error_message": "",
        "privacy": "public", "description": null, "region": "fr-par",
        "registry_image": "api.test:8080/tutorial/container-name:latest",
    });
    assert_eq!(made.body, expected);
    assert_eq!(client.get(&format!("containers/{id}")).await.body, expected);
    let defaults = client
        .post("containers", json!({"name": "d", "namespace_id": namespace, "privacy": "unknown"}))
        .await;
    assert_eq!(
        (&defaults.body["memory_limit"], &defaults.body["cpu_limit"], &defaults.body["privacy"]),
        (&json!(256), &json!(140), &json!("public"))
    );
    // The two kinds have names and ids of their own.
    let function = client.function(&namespace, "container-name").await;
    client.get(&format!("containers/{function}")).await.assert_error(404, "not_found");
    client.get(&format!("functions/{id}")).await.assert_error(404, "not_found");
    client.post(&format!("functions/{id}/deploy"), json!({})).await.assert_error(404, "not_found");
    client.get(&format!("functions/{id}/upload-url?content_length=1")).await.assert_error(404, "not_found");
    client.delete(&format!("functions/{id}")).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn every_argument_outside_its_constraint_is_named() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    client
        .post("containers", json!({}))
        .await
        .assert_argument("name", "required")
        .assert_argument("namespace_id", "required");
    let wrong = [
        ("name", json!("Upper")),
        ("name", json!("a--b")),
        ("name", json!("a.b")),
        ("name", json!("x".repeat(64))),
        ("timeout", json!("300")),
        ("timeout", json!(900_001)),
        ("memory_limit", json!(300)),
        ("min_scale", json!(21)),
        ("max_scale", json!(101)),
        ("max_concurrency", json!(0)),
        ("privacy", json!("secret")),
        ("description", json!(1)),
        ("environment_variables", json!({"SCW_PUBLIC": "true"})),
        ("registry_image", json!(7)),
        ("registry_image", json!("no reference")),
        ("registry_image", json!("Nginx")),
        ("registry_image", json!("https://quay.io/a/b")),
        ("registry_image", json!("api.test:8080/base/node22:latest")),
        ("registry_image", json!("api.test:8080/nobody/c:latest")),
    ];
    for (name, value) in wrong {
        let mut body = json!({"name": "c", "namespace_id": namespace});
        body[name] = value;
        client.post("containers", body).await.assert_argument(name, "constraint");
    }
    container(&client, &namespace, "c").await;
    let twice = client.post("containers", json!({"name": "c", "namespace_id": namespace})).await;
    let told = twice.assert_argument("name", "constraint").body["message"].as_str().unwrap();
    assert!(told.contains("already exists"), "{told}");
    let unknown = json!({"name": "c", "namespace_id": api_server::store::new_id()});
    client.post("containers", unknown).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn an_image_is_the_callers_own_or_refused_as_if_it_were_not_there() {
    let server = Server::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let (namespace, second) = (client.namespace("mine").await, client.namespace("second").await);
    other.namespace("theirs").await;
    let image = |image: &str| json!({"name": "c", "namespace_id": namespace, "registry_image": image});
    let foreign = client.post("containers", image("api.test:8080/theirs/c:1")).await;
    let nowhere = client.post("containers", image("api.test:8080/nobody/c:1")).await;
    foreign.assert_argument("registry_image", "constraint");
    let words = |answer: &Value| answer["message"].as_str().unwrap().replace("theirs", "nobody");
    assert_eq!(words(&foreign.body), words(&nowhere.body));

    let made = client.post("containers", image("api.test:8080/second/other")).await;
    assert_eq!(made.body["registry_image"], "api.test:8080/second/other:latest");
    let path = format!("containers/{}", made.id());
    let digest = format!("sha256:{}", "0".repeat(64));
    for (named, answered) in [
        ("api.test:8080/mine/c:v1".to_owned(), "api.test:8080/mine/c:v1".to_owned()),
        (
            format!("api.test:8080/mine/c:v1@{digest}"),
            // The digest says it all.
            format!("api.test:8080/mine/c@{digest}"),
        ),
    ] {
        let changed = client.patch(&path, json!({"registry_image": named})).await;
        assert_eq!(changed.body["registry_image"], answered);
    }
    let same = client.patch(&path, json!({"registry_image": null, "description": "x"})).await;
    assert_eq!(same.body["registry_image"], format!("api.test:8080/mine/c@{digest}"));
    drop(second);
}

#[tokio::test]
async fn an_own_image_is_known_by_each_name_that_is_certainly_this_servers() {
    let configured = |allowed: &'static [&'static str]| {
        Server::with(move |config| {
            config.public_url = Some("https://zip.example".into());
            let allowed = allowed.iter().map(|one| one.parse().unwrap()).collect();
            config.foreign_images = Some(ForeignImages::guarded_by(Guard::new(allowed)));
        })
    };
    let (server, allowing) = (configured(&[]).await, configured(&["http://localhost:8080"]).await);
    let named = async |server: &Server, host: &str| -> String {
        let client = server.client().await;
        let namespace = client.namespace(&format!("of-{}", client.organization_id)).await;
        let slug = client.get(&format!("namespaces/{namespace}")).await.body["registry_endpoint"].clone();
        let slug = slug.as_str().unwrap().strip_prefix("zip.example/").unwrap().to_owned();
        let image = format!("{host}/{slug}/c:1");
        let body = json!({"name": "c", "namespace_id": namespace, "registry_image": image});
        let made = client.post("containers", body).await;
        made.body["registry_image"].as_str().unwrap().replace(&slug, "n")
    };
    // The public URL's, the host that was asked, and the listener's own, which is 127.0.0.1:8080.
    for host in ["zip.example", "Zip.example:443", "api.test:8080", "127.0.0.1:8080", "localhost:8080"] {
        assert_eq!(named(&server, host).await, "zip.example/n/c:1", "{host}");
    }
    for host in ["zip.example:80", "localhost:8081", "127.0.0.2:8080", "api.test"] {
        assert_ne!(named(&server, host).await, "zip.example/n/c:1", "{host}");
    }
    assert_eq!(named(&allowing, "127.0.0.1:8080").await, "zip.example/n/c:1");
    assert_eq!(named(&allowing, "localhost:8080").await, "localhost:8080/n/c:1", "the operator's word");
}

#[tokio::test]
async fn an_image_of_another_registry_is_named_as_docker_names_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let path = format!("containers/{}", container(&client, &namespace, "c").await);
    let digest = format!("sha256:{}", "0".repeat(64));
    for (named, answered) in [
        ("nginx", "docker.io/library/nginx:latest".to_owned()),
        ("n/c:1", "docker.io/n/c:1".to_owned()),
        ("Quay.io/a/b", "quay.io/a/b:latest".to_owned()),
        (&format!("ghcr.io/a/b:1@{digest}"), format!("ghcr.io/a/b:1@{digest}")),
        ("localhost/a", "localhost:443/a:latest".to_owned()),
        ("api.test:8080/n/c:1", "api.test:8080/n/c:1".to_owned()),
    ] {
        let changed = client.patch(&path, json!({"registry_image": named})).await;
        assert_eq!(changed.body["registry_image"], answered, "{}", changed.body);
        assert_eq!(client.get(&path).await.body["registry_image"], answered);
    }
    let refusing = Server::with(|config| config.foreign_images = None).await;
    let client = refusing.client().await;
    let namespace = client.namespace("n").await;
    let body = json!({"name": "c", "namespace_id": namespace, "registry_image": "nginx"});
    let refused = client.post("containers", body).await;
    let told = refused.assert_argument("registry_image", "constraint").body["message"].as_str().unwrap();
    assert!(told.contains("push it to api.test:8080/"), "{told}");
}

#[tokio::test]
async fn lists_have_their_filters_orders_and_pages_and_the_nested_one_is_whole() {
    let server = Server::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let (one, two) = (client.namespace("one").await, client.namespace("two").await);
    for name in ["b", "a"] {
        container(&client, &one, name).await;
    }
    container(&client, &two, "c").await;
    client.function(&one, "f").await;
    let names = async |query: &str| -> Vec<String> {
        let answer = client.get(query).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let rows = answer.body["containers"].as_array().unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("containers").await, ["b", "a", "c"]);
    assert_eq!(names("containers?order_by=created_at_desc").await, ["c", "a", "b"]);
    assert_eq!(names("containers?order_by=name_asc").await, ["a", "b", "c"]);
    assert_eq!(names("containers?order_by=name_desc&page_size=2").await, ["c", "b"]);
    assert_eq!(names("containers?page=2&page_size=2").await, ["c"]);
    assert_eq!(names("containers?name=a").await, ["a"]);
    assert_eq!(names(&format!("containers?namespace_id={two}")).await, ["c"]);
    assert_eq!(names(&format!("namespaces/{one}/containers")).await, ["b", "a"]);
    assert!(names("containers?page=9").await.is_empty());
    client.get("containers?order_by=size").await.assert_argument("order_by", "unknown");
    assert_eq!(client.get("containers?page_size=1").await.body["total_count"], 3);
    assert_eq!(client.get(&format!("namespaces/{one}/functions")).await.body["total_count"], 1);
    assert_eq!(other.get("containers").await.body, json!({"containers": [], "total_count": 0}));
    other.get(&format!("namespaces/{one}/containers")).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn another_organizations_container_is_not_there_for_any_operation() {
    let server = Server::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let namespace = client.namespace("n").await;
    let id = container(&client, &namespace, "c").await;
    let path = format!("containers/{id}");
    other.get(&path).await.assert_error(404, "not_found");
    other.patch(&path, json!({"description": "x"})).await.assert_error(404, "not_found");
    other.post(&format!("{path}/deploy"), json!({})).await.assert_error(404, "not_found");
    other.delete(&path).await.assert_error(404, "not_found");
    for query in ["container_id", "function_id"] {
        other.get(&format!("jwt/issue?{query}={id}")).await.assert_error(404, "not_found");
        // Some clients name a container as a function.
        assert_eq!(client.get(&format!("jwt/issue?{query}={id}")).await.status, 200);
    }
    assert_eq!(client.get(&path).await.body["status"], "created");
}

#[tokio::test]
async fn a_deploy_takes_the_image_and_what_runs_is_redeployed_by_a_change() {
    let server = Server::start().await;
    let store = &server.state.store;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = container(&client, &namespace, "c").await;
    let path = format!("containers/{id}");
    // Nothing is live, so nothing is deployed.
    assert_eq!(client.patch(&path, json!({"timeout": 7})).await.body["status"], "created");
    assert_eq!(server.calls.pokes.load(Ordering::SeqCst), 0);

    assert_eq!(client.post(&format!("{path}/deploy"), json!({})).await.body["status"], "pending");
    let mut deploy = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    assert_eq!((deploy.repository.as_str(), &deploy.archive, deploy.config.timeout_ms), ("n/c", &None, 7));
    assert_eq!(deploy.config.program, Program::Image { image: "n/c:latest".into() });
    while deploy.state < DeployState::Switching {
        let next = deploy.state.next().unwrap();
        let digest = (next == DeployState::Verifying).then_some("sha256:abc");
        if next == DeployState::Switching {
            store.create_revision(&deploy, "n/c", "sha256:abc").await.unwrap();
        }
        deploy = store.step_deploy(&deploy, next, digest, LEASE).await.unwrap();
    }
    store.deploy_ready(&deploy).await.unwrap();
    assert_eq!(client.get(&path).await.body["status"], "ready");
    let running = store.running("n/c", "sha256:abc").await.unwrap().unwrap();
    assert_eq!((running.kind.as_str(), running.name.as_str(), running.version), ("container", "c", 1));

    assert_eq!(client.patch(&path, json!({"min_scale": 1})).await.body["status"], "ready");
    assert_eq!(server.calls.rescales.load(Ordering::SeqCst), 1);
    let unasked = json!({"registry_image": "api.test:8080/n/c:v2", "redeploy": false});
    assert_eq!(client.patch(&path, unasked).await.body["status"], "ready");
    let changed = client.patch(&path, json!({"registry_image": "api.test:8080/n/c:v3"})).await;
    assert_eq!(changed.body["status"], "pending");
    let second = store.claim_deploy("me", LEASE).await.unwrap().unwrap();
    assert_eq!(second.config.program, Program::Image { image: "n/c:v3".into() });
    store.deploy_failed(&second, "its own words").await.unwrap();
    let failed = client.get(&path).await.body;
    assert_eq!((&failed["status"], &failed["error_message"]), (&json!("error"), &json!("its own words")));
    assert_eq!(live(store).await.len(), 1);
}

#[tokio::test]
async fn what_is_deleted_goes_and_a_namespace_takes_its_containers_along() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let (one, two) =
        (container(&client, &namespace, "one").await, container(&client, &namespace, "two").await);
    client.post(&format!("containers/{one}/deploy"), json!({})).await;
    let path = format!("containers/{one}");
    assert_eq!(client.delete(&path).await.body["status"], "deleting");
    eventually(async || (client.get(&path).await.status == 404).then_some(())).await;
    client.delete(&path).await.assert_error(404, "not_found");
    assert!(server.state.store.unfinished_deploys().await.unwrap().is_empty());

    assert_eq!(client.delete(&format!("namespaces/{namespace}")).await.body["status"], "deleting");
    let late = client.post("containers", json!({"name": "late", "namespace_id": namespace})).await;
    assert!([404, 409].contains(&late.status.as_u16()), "{late:?}");
    eventually(async || (client.get(&format!("namespaces/{namespace}")).await.status == 404).then_some(()))
        .await;
    client.get(&format!("containers/{two}")).await.assert_error(404, "not_found");
    assert_eq!(server.calls.removals.load(Ordering::SeqCst), 2);
}
