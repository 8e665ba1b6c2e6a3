//! New code takes over without a lost request, and old code stays when new code fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use zipship_tests::{Function, Server, Spec, Zip};

const CALLERS: usize = 4;
const CALLS_DEADLINE: Duration = Duration::from_secs(120);
const PYTHON: Spec<'_> = Spec { runtime: "python3", handler: "handler.handle", privacy: "public" };

#[tokio::test(flavor = "multi_thread")]
async fn a_redeploy_under_load_loses_no_request() -> anyhow::Result<()> {
    let server = Server::start()?;
    let function = Function::deployed(server.api(), PYTHON, &version("old")).await?;
    let ready = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(call_until(function.clone(), ready.clone()))).collect();

    function.redeploy(&version("new")).await?;
    ready.store(true, Ordering::SeqCst);
    for caller in callers {
        let (old, new) = caller.await??;
        assert!(old > 0, "the load ran before the switch");
        assert!(new > 0, "the load ran after the switch");
    }
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_fails_leaves_the_old_version_serving() -> anyhow::Result<()> {
    let server = Server::start()?;
    let function = Function::deployed(server.api(), PYTHON, &version("old")).await?;
    assert_eq!(function.call().await?.text(), "old");

    function.upload(&Zip::of("handler.py", "import nothing_like_this\n").bytes()).await?;
    let settled = function.deploy().await?;
    assert_eq!(settled["status"], "error", "{settled}");
    assert_eq!(function.call().await?.text(), "old");

    function.redeploy(&version("new")).await?;
    assert_eq!(function.call().await?.text(), "new");
    server.stop()
}

fn version(name: &str) -> Zip {
    Zip::of("handler.py", &format!("def handle(event, context):\n    return \"{name}\"\n"))
}

/// Calls one after the other until three answers came after `ready`; what came then is all new.
async fn call_until(function: Function, ready: Arc<AtomicBool>) -> anyhow::Result<(u32, u32)> {
    let deadline = Instant::now() + CALLS_DEADLINE;
    let (mut old, mut new, mut after) = (0, 0, 0);
    while after < 3 {
        ensure!(Instant::now() < deadline, "the redeploy did not end: {old} old, {new} new answers");
        let was_ready = ready.load(Ordering::SeqCst);
        let answer = function.call().await?;
        ensure!(answer.status == 200, "a request was lost: {} {}", answer.status, answer.text());
        match answer.text().as_str() {
            "old" => {
                ensure!(!was_ready, "old code answered after ready");
                old += 1;
            }
            "new" => new += 1,
            other => anyhow::bail!("neither old nor new code answered: {other:?}"),
        }
        after += u32::from(was_ready);
    }
    Ok((old, new))
}

/// An orderly stop is no failure of the deploy: the next start goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_in_a_deploy_ends_it_after_the_next_start() -> anyhow::Result<()> {
    let slow = "const begin = Date.now();\nwhile (Date.now() - begin < 3000) {}\nmodule.exports.handle = async () => 'new';\n";
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let spec = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
    let function = Function::create(server.api(), spec).await?;
    function.upload(&Zip::of("handler.js", slow).bytes()).await?;
    let path = format!("functions/{}/deploy", function.id);
    let _ = server.api().post(&path, &serde_json::json!({})).await?.expect(200);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !server.log().contains(r#""step":"pushing""#) {
        anyhow::ensure!(std::time::Instant::now() < deadline, "it never came to verifying: {}", server.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.halt()?;
    server.launch(&[])?;
    let settled = function.settled().await?;
    assert_eq!(settled["status"], "ready", "{settled}");
    assert_eq!(function.call().await?.text(), "new");
    server.stop()
}
