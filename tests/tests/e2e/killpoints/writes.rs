//! Kills at the writes that belong to no deploy: a client that asks again gets where it wanted to, and a delete
//! that was answered or written down is carried out.

use std::{fs, time::Instant};

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::{Answer, Api, Server};

use super::{DRAINED, LIMIT, OTHERS, PAUSE, armed, node, patiently, tail, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn every_other_write_may_be_the_servers_last() -> anyhow::Result<()> {
    tokio::try_join!(kill_at_each("before"), kill_at_each("after"))?;
    Ok(())
}

/// One server and its data, killed once at each point.
async fn kill_at_each(side: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    // The first in the list is the very first write: only an empty data folder shows it.
    for name in OTHERS {
        let point = format!("{name}.{side}");
        let marker = armed(&mut server, folder.path(), &point)?;
        let walked = walk(&server, name.starts_with("namespace")).await;
        walked.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
        wait_for(&marker).await?;
        // The last of these kills comes after the last answer.
        let _ = patiently(|| server.api().get("namespaces")).await?.expect(200);
        let kept = fs::read_dir(server.data().join("server/archives"))?.count();
        assert_eq!(kept, 0, "{point}: archives of functions that are gone");
        let ended = sandboxes_end(&server).await;
        ended.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
        server.halt()?;
    }
    Ok(())
}

/// The life of a function and a container, asked for by a client that repeats what was not answered. At the end they
/// go by themselves or with their namespace.
async fn walk(server: &Server, with_namespace: bool) -> anyhow::Result<()> {
    let api = server.api();
    let namespace = json!({"name": "walk", "organization_id": api.organization()});
    let namespace = create(api, "namespaces", &namespace).await?;
    let function = json!({
        "name": "walk", "namespace_id": namespace, "runtime": "node10", "handler": "handler.handle",
        "privacy": "public", "memory_limit": 128,
    });
    let (namespace, function) = (
        format!("namespaces/{namespace}"),
        format!("functions/{}", create(api, "functions", &function).await?),
    );
    let container = json!({"name": "walk", "namespace_id": namespace.trim_start_matches("namespaces/")});
    let container = format!("containers/{}", create(api, "containers", &container).await?);
    let change = json!({"description": "changed"});
    let _ = patiently(|| api.patch(&namespace, &change)).await?.expect(200);
    let _ = patiently(|| api.patch(&function, &change)).await?.expect(200);
    let _ = patiently(|| api.patch(&container, &change)).await?.expect(200);

    let archive = node("walked").bytes();
    let (deploy, nothing) = (format!("{function}/deploy"), json!({}));
    let put = patiently(|| upload(api, &function, &archive)).await?;
    assert_eq!(put.status, 200, "{}", put.text());
    let _ = patiently(|| api.post(&deploy, &nothing)).await?.expect(200);
    let deployed =
        until(api, &function, |now| now.status != 200 || now.json()["status"] != "pending").await?;
    let deployed = deployed.expect(200);
    assert_eq!((&deployed["status"], &deployed["description"]), (&"ready".into(), &"changed".into()));
    let endpoint = deployed["endpoint"].as_str().unwrap();
    let served = patiently(|| Answer::of(api.request(Method::GET, endpoint))).await?;
    assert_eq!((served.status, served.text().as_str()), (200, "walked"));

    let each = [&container, &function, &namespace];
    for path in each.into_iter().skip(if with_namespace { 2 } else { 0 }) {
        let answer = patiently(|| api.delete(path)).await?;
        // Asked again, it is under way or done.
        assert!([200, 404, 409].contains(&answer.status), "{path}: {}", answer.text());
        until(api, path, |now| now.status == 404).await?;
    }
    Ok(())
}

async fn sandboxes_end(server: &Server) -> anyhow::Result<()> {
    let deadline = Instant::now() + DRAINED;
    while !server.sandboxes().is_empty() {
        ensure!(Instant::now() < deadline, "sandboxes of a function that is gone: {:?}", server.sandboxes());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The id of what was created; when the answer was lost, of what is there under its name.
async fn create(api: &Api, kind: &str, body: &Value) -> anyhow::Result<String> {
    let deadline = Instant::now() + LIMIT;
    let (by_name, mut lost) = (format!("{kind}?name=walk"), false);
    loop {
        if lost {
            let there = patiently(|| api.get(&by_name)).await?.expect(200);
            match there[kind].as_array().unwrap().as_slice() {
                [] => {}
                [one] => return Ok(one["id"].as_str().unwrap().to_owned()),
                more => anyhow::bail!("it was created more than once: {more:?}"),
            }
        }
        match api.post(kind, body).await {
            Ok(answer) => return Ok(answer.expect(200)["id"].as_str().unwrap().to_owned()),
            Err(_) => lost = true,
        }
        ensure!(Instant::now() < deadline, "the server does not come back");
    }
}

/// From the URL on: one that was lost is never used again.
async fn upload(api: &Api, function: &str, archive: &[u8]) -> anyhow::Result<Answer> {
    let path = format!("{function}/upload-url?content_length={}", archive.len());
    let url = api.get(&path).await?.expect(200)["url"].as_str().unwrap().to_owned();
    Answer::of(api.request(Method::PUT, &url).body(archive.to_vec())).await
}

async fn until(api: &Api, path: &str, done: impl Fn(&Answer) -> bool) -> anyhow::Result<Answer> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let now = patiently(|| api.get(path)).await?;
        if done(&now) {
            return Ok(now);
        }
        ensure!(Instant::now() < deadline, "{path} stays: {}", now.text());
        tokio::time::sleep(PAUSE).await;
    }
}
