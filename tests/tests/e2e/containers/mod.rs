//! Containers: images that know nothing of ours, pushed with the tools that users have, deployed, called, replaced.

mod elsewhere;
mod forms;
mod image;

use std::time::{Duration, Instant};

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::{Answer, Api, Container, Server};

pub(crate) use image::Workshop;

const PROGRAM: &[&str] = &["--config.entrypoint", "/usr/bin/program"];

/// A namespace that is ready: its id and where its images are.
pub(crate) async fn namespace(api: &Api, name: &str) -> anyhow::Result<(String, String)> {
    let body = json!({"name": name, "organization_id": api.organization()});
    let made = api.post("namespaces", &body).await?.expect(200);
    let path = format!("namespaces/{}", made["id"].as_str().unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let now = api.get(&path).await?.expect(200);
        if now["status"] == "ready" {
            let text = |field: &str| now[field].as_str().unwrap().to_owned();
            return Ok((text("id"), text("registry_endpoint")));
        }
        ensure!(Instant::now() < deadline, "{now}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_pushed_by_skopeo_and_by_podman_is_deployed_called_replaced_and_deleted()
-> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();
    let workshop = Workshop::new(&server);
    workshop.login("skopeo");
    let (namespace, endpoint) = namespace(api, "tutorial").await?;
    let container = Container::create(api, &namespace, "hello", &json!({})).await?;
    assert_eq!(container.image, format!("{endpoint}/hello:latest"));
    assert_eq!(container.call("").await?.expect(404)["type"], "not_found");

    // Nothing was pushed yet: told, and no version is lost.
    let settled = container.deploy().await?;
    assert_eq!(settled["status"], "error");
    let told = settled["error_message"].as_str().unwrap();
    assert!(told.contains("there is no image tutorial/hello:latest"), "{told}");
    assert_eq!(container.call("").await?.expect(503)["type"], "deploy_failed");

    let one = workshop.image("one", &[PROGRAM, &["--config.env", "ANSWER=one"]].concat());
    workshop.push(&one, &container.image);
    container.deployed().await?;
    let answer = container.call("").await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "one"));
    assert_eq!(server.sandboxes().len(), 1);

    // What the tag names later is not what runs, until it is deployed; podman brings it in Docker's own format.
    let two = workshop.image("two", &[PROGRAM, &["--config.env", "ANSWER=two"]].concat());
    let elsewhere = format!("{endpoint}/elsewhere:v2");
    workshop.push(&two, &elsewhere);
    workshop.login("podman");
    workshop.push_with_podman(&elsewhere, &container.image);
    assert_eq!(container.call("").await?.text(), "one");
    container.deployed().await?;
    assert_eq!(container.call("").await?.text(), "two");
    let versions = tags(&server, "tutorial/hello").await?;
    assert_eq!(versions, ["1", "2", "latest"]);

    // The image that runs is not deleted, whoever asks.
    let manifest = format!("{}/v2/tutorial/hello/manifests/2", api.url());
    let head = Answer::of(api.request(Method::HEAD, &manifest).basic_auth("x", Some(api.key()))).await?;
    let running =
        format!("{}/v2/tutorial/hello/manifests/{}", api.url(), head.header("docker-content-digest"));
    let refused = Answer::of(api.request(Method::DELETE, &running).basic_auth("x", Some(api.key()))).await?;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("container hello runs it as version 2"), "{}", refused.text());

    let gone = api.delete(&container.path()).await?.expect(200);
    assert_eq!(gone["status"], "deleting");
    let deadline = Instant::now() + Duration::from_secs(20);
    while api.get(&container.path()).await?.status != 404 {
        ensure!(Instant::now() < deadline, "the container stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(container.call("").await?.status, 404);
    sandboxes(&server, 0).await?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_as_user_1000_with_its_variables_and_its_images_own_settings() -> anyhow::Result<()>
{
    let server = Server::start()?;
    let api = server.api();
    let workshop = Workshop::new(&server);
    workshop.login("skopeo");
    let (namespace, _) = namespace(api, "settings").await?;
    let _ = api
        .patch(&format!("namespaces/{namespace}"), &json!({"environment_variables": {"A": "1", "B": "1"}}))
        .await?
        .expect(200);
    let fields = json!({"environment_variables": {"B": "2", "SECRET": "marker-5f1b"}, "min_scale": 0});
    let container = Container::create(api, &namespace, "c", &fields).await?;
    // Root in the image, a working directory, arguments, and a port that is not the platform's.
    let settings = [
        "--config.user",
        "0:0",
        "--config.workingdir",
        "/usr",
        "--config.cmd",
        "all",
        "--config.env",
        "PORT=3000",
        "--config.env",
        "B=0",
        "--config.env",
        "C=3",
    ];
    let image = workshop.image("settings", &[PROGRAM, &settings].concat());
    workshop.push(&image, &container.image);
    container.deployed().await?;

    let answer = container.call("/describe?x=1&y").await?;
    let told = answer.expect(200);
    assert_eq!(
        json!([told["uid"], told["directory"], told["arguments"], told["path"], told["prefix"]]),
        json!([1000, "/usr", ["all"], "/describe?x=1&y", format!("/f/{}", container.id)])
    );
    assert_eq!(
        json!([told["root_is_written"], told["tmp_is_written"], told["interfaces"]]),
        json!([false, true, 1])
    );
    let environment = told["environment"].as_array().unwrap();
    for expected in [
        "A=1".to_owned(),
        "B=2".to_owned(),
        "C=3".to_owned(),
        "SECRET=marker-5f1b".to_owned(),
        "PORT=8080".to_owned(),
        "SCW_PUBLIC=true".to_owned(),
        format!("SCW_NAMESPACE_ID={namespace}"),
        format!("SCW_APPLICATION_ID={}", container.id),
        "SCW_APPLICATION_VERSION=1".to_owned(),
    ] {
        assert!(environment.contains(&json!(expected)), "{expected} is not in {environment:?}");
    }
    assert!(environment.iter().any(|one| one.as_str().unwrap().contains("BEGIN RSA PUBLIC KEY")));
    assert!(!environment.iter().any(|one| one.as_str().unwrap().starts_with("ZIPSHIP_")), "{environment:?}");
    assert!(answer.header("server-timing").is_empty() && !answer.header("x-request-id").is_empty());
    // What it said is in the log, its variables are in no file of the server's or the launcher's.
    let said = crate::logs::log(api, &container.id).await?;
    assert!(crate::logs::messages(&said).contains(&"listening on :8080"), "{said:?}");
    assert!(!server.log().contains("marker-5f1b"));
    no_file_has(&server.data(), "marker-5f1b")?;

    // A restart starts it from zero with the next call.
    let mut server = server;
    server.halt()?;
    server.launch(&[])?;
    let again = Answer::of(
        server.api().request(Method::GET, &format!("{}/f/{}/describe", server.api().url(), container.id)),
    );
    let again = again.await?;
    assert_eq!(again.expect(200)["uid"], 1000);
    assert!(again.header("server-timing").contains("listen;dur="), "{:?}", again.headers);
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_container_gets_the_variables_and_checks_tokens_itself() -> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();
    let workshop = Workshop::new(&server);
    workshop.login("skopeo");
    let (namespace, _) = namespace(api, "private").await?;
    let container = Container::create(api, &namespace, "c", &json!({"privacy": "private"})).await?;
    let image = workshop.image("private", &[PROGRAM, &["--config.env", "ANSWER=inside"]].concat());
    workshop.push(&image, &container.image);
    container.deployed().await?;

    // The platform lets everybody through; the answer is the container's own.
    let without = container.call("").await?;
    assert_eq!((without.status, without.text().as_str()), (403, "not for you\n"));
    let other = Container::create(api, &namespace, "other", &json!({})).await?;
    for (query, status) in [
        (format!("container_id={}", container.id), 200),
        (format!("function_id={}", container.id), 200),
        (format!("namespace_id={namespace}"), 200),
        (format!("container_id={}", other.id), 403),
    ] {
        let token = api.get(&format!("jwt/issue?{query}")).await?.expect(200);
        let request = container.request(Method::GET, "");
        let answer =
            Answer::of(request.header("SCW_FUNCTIONS_TOKEN", token["token"].as_str().unwrap())).await?;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_deploy_says_what_the_image_said_and_the_old_version_serves() -> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();
    let workshop = Workshop::new(&server);
    workshop.login("skopeo");
    let (namespace, _) = namespace(api, "failing").await?;
    let container = Container::create(api, &namespace, "c", &json!({})).await?;
    let good = workshop.image("good", &[PROGRAM, &["--config.env", "ANSWER=old"]].concat());
    workshop.push(&good, &container.image);
    container.deployed().await?;

    let with_program = |more: &[&'static str]| [PROGRAM, more].concat();
    let cases: [(&str, Vec<&str>, &[&str]); 5] = [
        (
            "ends",
            with_program(&["--config.cmd", "ends"]),
            &["code 3", "8080", "no such file: /etc/app/settings", "user 1000"],
        ),
        ("nothing", vec!["--config.entrypoint", "/usr/bin/nothing"], &["/usr/bin/nothing", "no such file"]),
        ("empty", vec!["--config.env", "A=1"], &["neither by ENTRYPOINT nor by CMD"]),
        ("nowhere", with_program(&["--config.workingdir", "/nowhere"]), &["/nowhere"]),
        ("arm", with_program(&["--architecture", "arm64"]), &["linux/amd64", "linux/arm64"]),
    ];
    for (tag, settings, causes) in cases {
        let image = workshop.image(tag, &settings);
        workshop.push(&image, &container.image);
        let settled = container.deploy().await?;
        let told = settled["error_message"].as_str().unwrap();
        assert_eq!(settled["status"], "error", "{tag}");
        for cause in causes {
            assert!(told.contains(cause), "{tag}: {cause:?} is not in {told:?}");
        }
        assert_eq!(container.call("").await?.text(), "old", "{tag}");
    }
    // One that never listens is waited for, and gives way to a newer deploy.
    let image = workshop.image("elsewhere", &[PROGRAM, &["--config.cmd", "elsewhere"]].concat());
    workshop.push(&image, &container.image);
    let _ = api.post(&format!("{}/deploy", container.path()), &json!({})).await?.expect(200);
    sandboxes(&server, 2).await?;
    assert_eq!(container.call("").await?.text(), "old");
    workshop.push(&good, &container.image);
    container.deployed().await?;
    assert_eq!(container.call("").await?.text(), "old");
    sandboxes(&server, 1).await?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_on_either_loopback_and_its_end_is_the_callers_to_see() -> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();
    let workshop = Workshop::new(&server);
    workshop.login("skopeo");
    let (namespace, endpoint) = namespace(api, "ways").await?;
    for mode in ["loopback", "six"] {
        let settings = ["--config.cmd", mode, "--config.env", "ANSWER=found"];
        let image = workshop.image(mode, &[PROGRAM, &settings].concat());
        let named = format!("{endpoint}/images:{mode}");
        workshop.push(&image, &named);
        // An image of another repository of the namespace: it is kept in the container's own.
        let fields = json!({"registry_image": named, "timeout": 500});
        let container = Container::create(api, &namespace, mode, &fields).await?;
        container.deployed().await?;
        assert_eq!(container.call("").await?.text(), "found", "{mode}");
        assert_eq!(tags(&server, &format!("ways/{mode}")).await?, ["1"]);

        let slow = container.call("/slow").await?.expect(504);
        assert_eq!(slow["type"], "timeout", "{slow}");
        let ended = container.call("/end").await?.expect(502);
        assert_eq!(ended["type"], "instance_failed", "{ended}");
        // The next caller gets another instance, after the pause that follows a crash.
        let deadline = Instant::now() + Duration::from_secs(20);
        while container.call("").await?.status != 200 {
            ensure!(Instant::now() < deadline, "it does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert!(workshop.host().contains(':'));
    server.stop()
}

/// Waits until so many sandboxes run.
async fn sandboxes(server: &Server, count: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.sandboxes().len() != count {
        ensure!(Instant::now() < deadline, "not {count}: {:?}", server.sandboxes());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn tags(server: &Server, repository: &str) -> anyhow::Result<Vec<String>> {
    let url = format!("{}/v2/{repository}/tags/list", server.api().url());
    let request = server.api().request(Method::GET, &url).basic_auth("any", Some(server.api().key()));
    let listed: Value = Answer::of(request).await?.expect(200);
    Ok(listed["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect())
}

/// Looks through all that is on disk below a folder.
fn no_file_has(folder: &std::path::Path, marker: &str) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            no_file_has(&entry.path(), marker)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path())?;
            ensure!(
                !bytes.windows(marker.len()).any(|window| window == marker.as_bytes()),
                "{marker} is in {}",
                entry.path().display()
            );
        }
    }
    Ok(())
}
