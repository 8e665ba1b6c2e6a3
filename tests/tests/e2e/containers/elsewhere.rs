//! Images of other registries: pulled when they are deployed, kept here, and asked for nowhere that the operator has not
//! allowed.

use serde_json::json;
use zipship_tests::{Container, DockerRegistry, Server};

use super::{PROGRAM, Workshop, namespace, tags};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_registry_runs_from_here_and_changes_with_a_deploy() -> anyhow::Result<()> {
    let outside = DockerRegistry::start()?;
    let mut server = Server::start_with(&["--pull-from", &format!("http://{}", outside.address)])?;
    let workshop = Workshop::new(&server);
    let answering = |answer: &str| {
        workshop.image(answer, &[PROGRAM, &["--config.env", &format!("ANSWER={answer}")]].concat())
    };
    let named = format!("{}/outside/app:v1", outside.address);
    workshop.push(&answering("one"), &named);
    let (namespace, _) = namespace(server.api(), "foreign").await?;
    let container =
        Container::create(server.api(), &namespace, "c", &json!({"registry_image": named})).await?;
    assert_eq!(container.image, named);
    container.deployed().await?;
    assert_eq!(container.call("").await?.text(), "one");
    assert_eq!(tags(&server, "foreign/c").await?, ["1"]);

    // A new push is nothing until it is deployed; what is here already does not come again.
    workshop.push(&answering("two"), &named);
    assert_eq!(container.call("").await?.text(), "one");
    container.deployed().await?;
    assert_eq!(container.call("").await?.text(), "two");
    let before = outside.requests()?;
    container.deployed().await?;
    assert_eq!(outside.requests()? - before, 2, "its manifest and its configuration");

    let missing = json!({"registry_image": format!("{}/outside/none:1", outside.address), "redeploy": false});
    let _ = server.api().patch(&container.path(), &missing).await?.expect(200);
    let told = container.deploy().await?["error_message"].as_str().unwrap().to_owned();
    assert!(told.contains("outside/none:1 can't be pulled: it does not exist"), "{told}");

    // The other registry goes: what runs does not need it, also after a restart; a deploy says what it misses.
    drop(outside);
    server.halt()?;
    server.launch(&[])?;
    let api = server.api();
    let call = api.request(reqwest::Method::GET, &format!("{}/f/{}", api.url(), container.id));
    assert_eq!(zipship_tests::Answer::of(call).await?.text(), "two");
    let _ = api.post(&format!("{}/deploy", container.path()), &json!({})).await?.expect(200);
    let settled = loop {
        let now = api.get(&container.path()).await?.expect(200);
        if now["status"] != "pending" {
            break now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let told = settled["error_message"].as_str().unwrap();
    assert!(settled["status"] == "error" && told.contains("refused"), "{settled}");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_not_allowed_is_not_asked() -> anyhow::Result<()> {
    let outside = DockerRegistry::start()?;
    let before = outside.requests()?;
    let server = Server::start()?;
    let (namespace, endpoint) = namespace(server.api(), "refused").await?;
    let endpoint = endpoint.strip_suffix("refused").unwrap();
    let named = |host: &str| json!({"registry_image": format!("{host}/outside/app:v1")});
    let container = Container::create(server.api(), &namespace, "c", &named(&outside.address)).await?;
    let port = outside.address.rsplit(':').next().unwrap();
    for host in [
        outside.address.clone(),
        format!("localhost:{port}"),
        format!("2130706433:{port}"),
        "127.0.0.1:443".to_owned(),
        "localhost".to_owned(),
        "169.254.169.254:443".to_owned(),
        "[::1]:443".to_owned(),
    ] {
        let _ = server.api().patch(&container.path(), &named(&host)).await?.expect(200);
        let settled = container.deploy().await?;
        let told = settled["error_message"].as_str().unwrap();
        assert!(settled["status"] == "error" && told.contains("--pull-from"), "{host}: {settled}");
        assert!(told.contains(&format!("own registry is named {endpoint}")), "{host}: {settled}");
    }
    assert_eq!(outside.requests()?, before);
    server.stop()?;

    let server = Server::start_with(&["--own-images-only"])?;
    let (namespace, endpoint) = super::namespace(server.api(), "own").await?;
    let body = json!({"name": "c", "namespace_id": namespace, "registry_image": "nginx"});
    let refused = server.api().post("containers", &body).await?.expect(400);
    let help = refused["details"][0]["help_message"].as_str().unwrap();
    assert!(
        help.contains("its own registry only") && help.contains(endpoint.split('/').next().unwrap()),
        "{help}"
    );
    server.stop()
}
