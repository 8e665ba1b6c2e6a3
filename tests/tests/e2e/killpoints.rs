//! `kill -9` of the server at every store write and every outside effect of a deploy: the deploy still ends, and
//! nothing is left over.

mod archives;
mod containers;
mod crons;
mod endings;
mod processes;
mod usage;
mod writes;

use std::{
    collections::BTreeSet,
    fs,
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use zipship_tests::{Container, Function, Server, Spec, Zip};

/// Writes and outside effects of a deploy, in the order of a first deploy; each is a point before and one after.
const OF_A_DEPLOY: &[&str] = &[
    "deploy.request",
    "deploy.claim",
    "deploy.fetching",
    "deploy.building",
    "modules.download",
    "compile.run",
    "caches.compile",
    "deploy.pushing",
    "image.push",
    "deploy.verifying",
    "revision.create",
    "image.tag",
    "layers.unpack",
    "instance.start",
    "deploy.switching",
    "route.switch",
    "route.probe",
    "deploy.finish",
];

/// All other writes that the walk below makes.
const OTHERS: &[&str] = &[
    "organization.bootstrap",
    "namespace.create",
    "namespace.ready",
    "namespace.update",
    "namespace.delete",
    "namespace.gone",
    "function.create",
    "function.update",
    "function.delete",
    "function.gone",
    "container.create",
    "container.update",
    "container.delete",
    "container.gone",
    "upload.create",
    "upload.complete",
    "deploy.release",
    "usage.add",
];

/// Passed by a deploy only that takes longer than a third of its lease; [`endings`] has one that does.
const OF_A_SLOW_DEPLOY: &[&str] = &["deploy.renew.before", "deploy.renew.after"];

/// Less than a lease: a start takes over from a dead server at once.
const LIMIT: Duration = Duration::from_secs(25);
/// A version that was replaced has ended after so long, also when its instance was still starting.
const DRAINED: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const PYTHON: Spec<'_> = Spec { runtime: "python311", handler: "handler.handle", privacy: "public" };
const GO: Spec<'_> = Spec { runtime: "golang", handler: ".", privacy: "public" };

/// With packages that are compiled ahead.
fn python() -> Zip {
    let handler = "import dep\n\n\ndef handle(event, context):\n    return dep.TEXT\n";
    let filler = "def f(a, b):\n    return [a, b]\n\n\n".repeat(2000);
    Zip::of("handler.py", handler).file("package/dep.py", &format!("{filler}TEXT = 'new'\n"))
}

fn node(answer: &str) -> Zip {
    Zip::of("handler.js", &format!("module.exports.handle = async () => '{answer}';"))
}

/// With modules and no vendor directory, so that they are fetched.
fn go() -> anyhow::Result<Zip> {
    let tutorial = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial/golang");
    Ok(Zip::of_folder(&tutorial)?.without_folder("vendor"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_and_effect_is_a_listed_point() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = log_for_the_server(folder.path())?;
    let mut server = Server::at_fixed_port()?;
    let log_to = [("ZIPSHIP_KILL_LOG", log.to_str().context("a path in UTF-8")?)];
    crate::crons::launch_before_a_tick(&mut server, &log_to)?;
    let called = Function::create(server.api(), NODE).await?;
    let cron = crate::crons::create(server.api(), &called.id, json!({})).await?;
    walk(&server).await?;
    crate::crons::cron_when(server.api(), &cron, crate::crons::has_run).await?;
    let cron = format!("crons/{cron}");
    let _ = server.api().patch(&cron, &json!({"schedule": "@yearly"})).await?.expect(200);
    let _ = server.api().delete(&cron).await?.expect(200);
    server.stop()?;

    let passed = fs::read_to_string(&log)?;
    let passed: BTreeSet<&str> = passed.lines().collect();
    let of_crons = crons::OF_A_TICK.iter().chain(crons::OF_CRONS);
    let listed = OF_A_DEPLOY
        .iter()
        .chain(OTHERS)
        .chain(of_crons)
        .flat_map(|name| [format!("{name}.before"), format!("{name}.after")]);
    let listed: BTreeSet<String> = listed.collect();
    let known = |point: &str| listed.contains(point) || OF_A_SLOW_DEPLOY.contains(&point);
    let unlisted: Vec<_> = passed.iter().filter(|point| !known(point)).collect();
    let unseen: Vec<_> = listed.iter().filter(|point| !passed.contains(point.as_str())).collect();
    assert!(unlisted.is_empty(), "these are killed at by no test: {unlisted:?}");
    assert!(unseen.is_empty(), "these were never passed: {unseen:?}");
    Ok(())
}

/// Everything that writes: create, deploy, change, redeploy, fail, delete.
async fn walk(server: &Server) -> anyhow::Result<()> {
    let function = Function::deployed(server.api(), NODE, &node("one")).await?;
    let path = format!("functions/{}", function.id);
    let _ = server.api().patch(&path, &json!({"description": "changed"})).await?.expect(200);
    function.redeploy(&node("two")).await?;
    assert_eq!(function.call().await?.status, 200);
    function.upload(b"no zip").await?;
    assert_eq!(function.deploy().await?["status"], "error");
    let golang = Function::create_in(server.api(), &function.namespace, GO).await?;
    golang.redeploy(&go()?).await?;
    let _ = server.api().delete(&format!("functions/{}", golang.id)).await?.expect(200);
    Function::create_in(server.api(), &function.namespace, PYTHON).await?.redeploy(&python()).await?;
    let container = Container::create(server.api(), &function.namespace, "c", &json!({})).await?;
    let _ = server.api().patch(&container.path(), &json!({"description": "changed"})).await?.expect(200);
    let _ = server.api().delete(&container.path()).await?.expect(200);
    let namespace = format!("namespaces/{}", function.namespace);
    let _ = server.api().patch(&namespace, &json!({"description": "changed"})).await?.expect(200);
    let _ = server.api().delete(&namespace).await?.expect(200);
    let deadline = Instant::now() + LIMIT;
    while server.api().get(&namespace).await?.status != 404 {
        ensure!(Instant::now() < deadline, "the namespace stays");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_deploy_ends_wherever_the_server_is_killed() -> anyhow::Result<()> {
    let (before, after) = (kill_at_each("before", Redeploys::No), kill_at_each("after", Redeploys::No));
    tokio::try_join!(before, after)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeploy_ends_wherever_the_server_is_killed_and_the_old_version_serves_until_then()
-> anyhow::Result<()> {
    let (before, after) = (kill_at_each("before", Redeploys::Yes), kill_at_each("after", Redeploys::Yes));
    tokio::try_join!(before, after)?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redeploys {
    Yes,
    No,
}

/// One server and its data, killed once at each point.
async fn kill_at_each(side: &str, redeploys: Redeploys) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::at_fixed_port()?;
    for name in OF_A_DEPLOY {
        // A second time these steps would show nothing new.
        if (of_go(name) || of_python(name)) && redeploys == Redeploys::Yes {
            continue;
        }
        let point = format!("{name}.{side}");
        let run = kill_once(&mut server, folder.path(), &point, redeploys);
        run.await.with_context(|| format!("killed at {point}; the log:\n{}", tail(&server.log())))?;
    }
    Ok(())
}

/// What only a deploy of a Go function does.
fn of_go(point: &str) -> bool {
    ["compile.", "modules."].iter().any(|step| point.starts_with(step))
}

/// What only a deploy of a function with compiled caches does.
fn of_python(point: &str) -> bool {
    point.starts_with("caches.")
}

async fn kill_once(
    server: &mut Server,
    folder: &Path,
    point: &str,
    redeploys: Redeploys,
) -> anyhow::Result<()> {
    let (spec, archive, answer) = match point {
        _ if of_go(point) => (GO, go()?, "Your response"),
        _ if of_python(point) => (PYTHON, python(), "new"),
        _ => (NODE, node("new"), "new"),
    };
    let (function, marker) = match redeploys {
        Redeploys::No => {
            let marker = armed(server, folder, point)?;
            (Function::create(server.api(), spec).await?, marker)
        }
        Redeploys::Yes => {
            server.launch(&[])?;
            let function = Function::deployed(server.api(), spec, &node("old")).await?;
            server.halt()?;
            let marker = armed(server, folder, point)?;
            assert_eq!(function.call().await?.text(), "old");
            (function, marker)
        }
    };
    let before = server.sandboxes();
    function.upload(&archive.bytes()).await?;
    deploy(server, &function).await?;
    wait_for(&marker).await?;
    if redeploys == Redeploys::Yes {
        let served = patiently(|| async { function.call().await }).await?;
        assert_eq!(served.status, 200, "{}", served.text());
        assert!(["old", "new"].contains(&served.text().as_str()), "{}", served.text());
    }
    let mut settled = settled(server, &function).await?;
    if point == "deploy.request.before" {
        // The kill came before the request was written down: it is as if nobody had asked.
        deploy(server, &function).await?;
        settled = self::settled(server, &function).await?;
    }
    assert_eq!(settled["status"], "ready", "{settled}");
    let served = patiently(|| async { function.call().await }).await?;
    assert_eq!((served.status, served.text().as_str()), (200, answer));
    one_sandbox(server, &before).await?;
    let gone = server.api().delete(&format!("functions/{}", function.id)).await?;
    assert_eq!(gone.status, 200, "{}", gone.text());
    server.halt()
}

/// Starts a server that kills itself at `point`, once; the file that is there after it.
pub(crate) fn armed(server: &mut Server, folder: &Path, point: &str) -> anyhow::Result<PathBuf> {
    let (marker, environment) = kill_environment(folder, point)?;
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    server.launch(&environment)?;
    Ok(marker)
}

/// The file that is there after the kill at `point`, and what makes a server kill itself there.
fn kill_environment(folder: &Path, point: &str) -> anyhow::Result<(PathBuf, [(&'static str, String); 2])> {
    let marker = log_for_the_server(folder)?.with_file_name(format!("killed-{point}"));
    let path = marker.to_str().context("a path in UTF-8")?.to_owned();
    Ok((marker, [("ZIPSHIP_KILL_AT", point.to_owned()), ("ZIPSHIP_KILL_ONCE", path)]))
}

/// What ran before the kill is gone, and the one function has one sandbox, once what was replaced has ended.
async fn one_sandbox(server: &Server, before: &BTreeSet<String>) -> anyhow::Result<()> {
    let kept: Vec<_> = server.sandboxes().intersection(before).cloned().collect();
    ensure!(kept.is_empty(), "sandboxes outlived their server: {kept:?}");
    let deadline = Instant::now() + DRAINED;
    while server.sandboxes().len() > 1 {
        ensure!(Instant::now() < deadline, "too many sandboxes: {:?}", server.sandboxes());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Asks for a deploy. A server that dies while it is asked has written the request down or not; where it has not,
/// asking again is what a client does.
async fn deploy(server: &Server, function: &Function) -> anyhow::Result<()> {
    let path = format!("functions/{}/deploy", function.id);
    match server.api().post(&path, &json!({})).await {
        Ok(answer) => drop(answer.expect(200)),
        Err(lost) => eprintln!("the server died while it was asked: {lost}"),
    }
    Ok(())
}

async fn settled(server: &Server, function: &Function) -> anyhow::Result<Value> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let path = format!("functions/{}", function.id);
        let now = patiently(|| async { server.api().get(&path).await }).await?.expect(200);
        if now["status"] != "pending" {
            return Ok(now);
        }
        if Instant::now() > deadline {
            bail!("stuck: {now}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks again while nobody answers: the server is being started again.
pub(crate) async fn patiently<T, F: Future<Output = anyhow::Result<T>>>(
    ask: impl Fn() -> F,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match ask().await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            answered => return answered,
        }
    }
}

pub(crate) async fn wait_for(marker: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !marker.exists() {
        ensure!(Instant::now() < deadline, "the server never came to the point");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// A file that the unprivileged server may write to.
fn log_for_the_server(folder: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let open = folder.join("open");
    fs::create_dir_all(&open)?;
    for (path, mode) in [(folder, 0o755), (open.as_path(), 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(open.join("points"))
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
