//! Kills in a container's deploy: it ends, the image of the deploy is the one that serves, and nothing is left over.

use std::path::Path;

use anyhow::Context;
use serde_json::json;
use zipship_tests::{Container, DockerRegistry, Server};

use super::{armed, one_sandbox, patiently, tail, wait_for};
use crate::containers::{Workshop, namespace};

/// Where a container's deploy is not a function's, and where callers come over to it.
const POINTS: &[&str] = &[
    "deploy.request",
    "deploy.fetching",
    "deploy.pushing",
    "image.push",
    "revision.create",
    "image.tag",
    "layers.unpack",
    "instance.start",
    "route.switch",
    "deploy.finish",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_containers_deploy_ends_wherever_the_server_is_killed() -> anyhow::Result<()> {
    tokio::try_join!(kill_at_each("before"), kill_at_each("after"))?;
    Ok(())
}

/// Where an image comes from another registry.
const POINTS_OF_A_PULL: &[&str] = &["deploy.fetching", "image.pull", "image.push"];

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_registry_comes_wherever_the_server_is_killed() -> anyhow::Result<()> {
    let outside = DockerRegistry::start()?;
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port_with(&["--pull-from", &format!("http://{}", outside.address)])?;
    server.launch(&[])?;
    let workshop = Workshop::new(&server);
    let settings = ["--config.entrypoint", "/usr/bin/program", "--config.env", "ANSWER=here"];
    let named = format!("{}/outside/c:1", outside.address);
    workshop.push(&workshop.image("first", &settings), &named);
    let (namespace, _) = namespace(server.api(), "n").await?;
    let fields = json!({"registry_image": named});
    let container = Container::create(server.api(), &namespace, "c", &fields).await?;
    container.deployed().await?;
    server.halt()?;
    let points =
        POINTS_OF_A_PULL.iter().flat_map(|name| ["before", "after"].map(|side| format!("{name}.{side}")));
    for (number, point) in points.enumerate() {
        // Another image each time, so that there is something to bring.
        let differs = format!("NUMBER={number}");
        let settings = [&settings[..], &["--config.env", &differs]].concat();
        workshop.push(&workshop.image(&number.to_string(), &settings), &named);
        let run = kill_once(&mut server, folder.path(), &container, &point);
        run.await.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
    }
    Ok(())
}

async fn kill_at_each(side: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let workshop = Workshop::new(&server);
    workshop.login("skopeo");
    let (namespace, _) = namespace(server.api(), "n").await?;
    let container = Container::create(server.api(), &namespace, "c", &json!({})).await?;
    let settings = ["--config.entrypoint", "/usr/bin/program", "--config.env", "ANSWER=here"];
    workshop.push(&workshop.image("here", &settings), &container.image);
    container.deployed().await?;
    server.halt()?;
    for name in POINTS {
        let point = format!("{name}.{side}");
        let run = kill_once(&mut server, folder.path(), &container, &point);
        run.await.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
    }
    Ok(())
}

async fn kill_once(
    server: &mut Server,
    folder: &Path,
    container: &Container,
    point: &str,
) -> anyhow::Result<()> {
    let marker = armed(server, folder, point)?;
    let before = server.sandboxes();
    ask(server, container).await;
    wait_for(&marker).await?;
    let served = patiently(|| container.call("")).await?;
    assert_eq!((served.status, served.text().as_str()), (200, "here"), "the old version serves");
    let mut settled = patiently(|| container.settled()).await?;
    if point == "deploy.request.before" {
        // The kill came before the request was written down: it is as if nobody had asked.
        assert_eq!(settled["status"], "ready");
        ask(server, container).await;
        settled = container.settled().await?;
    }
    assert_eq!(settled["status"], "ready", "{settled}");
    let served = patiently(|| container.call("")).await?;
    assert_eq!((served.status, served.text().as_str()), (200, "here"));
    one_sandbox(server, &before).await?;
    server.halt()
}

/// The server may die while it is asked.
async fn ask(server: &Server, container: &Container) {
    let path = format!("{}/deploy", container.path());
    match server.api().post(&path, &json!({})).await {
        Ok(answer) => drop(answer.expect(200)),
        Err(lost) => eprintln!("the server died while it was asked: {lost}"),
    }
}
