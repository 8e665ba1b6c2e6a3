//! Layers that were unpacked to run go when no version that is live and nothing that runs needs them, while callers are
//! served.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use zipship_tests::{Function, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const PATIENCE: Duration = Duration::from_secs(30);
const POLICY: [&str; 6] = ["--collect-every", "1", "--collect-after", "0", "--keep-versions", "1"];

fn answering(text: &str) -> Zip {
    Zip::of("handler.js", &format!("exports.handle = async () => '{text}';"))
}

/// By diff id; also what is being removed.
fn layers(server: &Server) -> anyhow::Result<BTreeSet<String>> {
    let entries = fs::read_dir(server.data().join("launcher/layers"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Waits until these layers are there, and so many others; which others.
async fn others(
    server: &Server,
    layers_that_stay: &BTreeSet<String>,
    count: usize,
) -> anyhow::Result<BTreeSet<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = layers(server)?;
        ensure!(now.is_superset(layers_that_stay), "one went that is needed: {now:?}");
        let others: BTreeSet<_> = now.difference(layers_that_stay).cloned().collect();
        if others.len() == count {
            return Ok(others);
        }
        ensure!(Instant::now() < deadline, "there are {others:?}, not {count}; {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Needs a file of its layer when it has been replaced, and collections have come.
const LATE: &str = "
exports.handle = async () => {
    await new Promise((done) => setTimeout(done, 5000));
    return require('./late');
};";

async fn replaced_while_it_answers(function: &Function) -> anyhow::Result<()> {
    let late = Zip::of("handler.js", LATE).file("late.js", "module.exports = 'late';");
    function.redeploy(&late).await?;
    let replaces = async {
        // The call has come to the instance by then.
        tokio::time::sleep(Duration::from_millis(500)).await;
        function.redeploy(&answering("next")).await
    };
    let (answer, ()) = tokio::try_join!(function.call(), replaces)?;
    ensure!(answer.status == 200 && answer.text() == "late", "{}", answer.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unpacked_layers_of_replaced_versions_go_and_come_back_when_they_are_needed() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port_with(&POLICY)?.with_bases(&["node10"])?;
    server.launch(&[])?;
    let steady = Function::deployed(server.api(), NODE, &answering("steady")).await?;
    let stay = layers(&server)?;
    let function = Function::create_in(server.api(), &steady.namespace, NODE).await?;
    let over = AtomicBool::new(false);
    let calls = async {
        while !over.load(Ordering::SeqCst) {
            let answer = steady.call().await?;
            ensure!(answer.status == 200 && answer.text() == "steady", "{}", answer.text());
        }
        anyhow::Ok(())
    };
    let deploys = async {
        replaced_while_it_answers(&function).await?;
        let mut seen = Vec::new();
        // In the end the first one again, whose layer has gone by then.
        for version in ["one", "two", "three", "one"] {
            function.redeploy(&answering(version)).await?;
            ensure!(function.call().await?.text() == version, "{version}");
            seen.push(others(&server, &stay, 1).await.with_context(|| format!("of {version}"))?);
        }
        ensure!(seen[0] == seen[3] && seen[0] != seen[1] && seen[1] != seen[2], "{seen:?}");
        over.store(true, Ordering::SeqCst);
        anyhow::Ok(())
    };
    tokio::try_join!(calls, deploys)?;

    // Killed around it the server comes back with all that is needed; the next one goes on.
    server.halt()?;
    let folder = tempfile::tempdir()?;
    for point in ["layers.collect.before", "layers.collect.after"] {
        let marker = crate::killpoints::armed(&mut server, folder.path(), point)?;
        crate::killpoints::wait_for(&marker).await?;
        let answer = crate::killpoints::patiently(|| function.call()).await?;
        assert_eq!(answer.text(), "one", "{point}");
        server.halt()?;
    }
    server.launch(&[])?;
    let deleted = server.api().delete(&format!("functions/{}", function.id)).await?;
    ensure!(deleted.status == 200, "{}", deleted.text());
    others(&server, &stay, 0).await?;
    assert_eq!(steady.call().await?.text(), "steady");
    server.stop()
}
