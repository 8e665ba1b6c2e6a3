//! `zipship lock` and `unlock` beside a server that runs.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;
use zipship_tests::{Function, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node22", handler: "handler.handle", privacy: "public" };
/// What is promised is two seconds; a busy machine gets more.
const LIMIT: Duration = Duration::from_secs(10);

async fn answers(function: &Function, status: u16) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while function.call().await?.status != status {
        ensure!(Instant::now() < deadline, "its callers never got {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_function_is_neither_written_nor_called_until_it_is_unlocked() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let data = server.data();
    let zip = Zip::of("handler.js", "exports.handle = async () => 'ok';");
    let function = Function::deployed(server.api(), NODE, &zip).await?;
    let other = Function::create_in(server.api(), &function.namespace, NODE).await?;
    other.redeploy(&zip).await?;
    let place = ["--data", data.to_str().unwrap()];
    let path = format!("functions/{}", function.id);
    let killed = |server: &Server, point: &str, verb: &str| -> anyhow::Result<Option<i32>> {
        let mut command = server.command(&[&[verb, function.id.as_str()], &place[..]].concat())?;
        Ok(command.env("ZIPSHIP_KILL_AT", point).output()?.status.signal())
    };

    // A command that is killed has locked or has not.
    assert_eq!(killed(&server, "lock.set.before", "lock")?, Some(9));
    assert_eq!(server.api().get(&path).await?.json()["status"], "ready");
    assert_eq!(killed(&server, "lock.set.after", "lock")?, Some(9));
    assert_eq!(server.api().get(&path).await?.json()["status"], "locked");
    answers(&function, 404).await?;
    assert_eq!(other.call().await?.status, 200, "its neighbour is as it was");
    for answer in [
        server.api().patch(&path, &json!({"description": "d"})).await?,
        server.api().post(&format!("{path}/deploy"), &json!({})).await?,
        server.api().delete(&path).await?,
    ] {
        assert_eq!((answer.status, &answer.json()["type"]), (423, &json!("locked")));
    }

    // A server that is started again knows; a command that is killed has not unlocked.
    assert_eq!(killed(&server, "lock.clear.before", "unlock")?, Some(9));
    server.halt()?;
    server.launch(&[])?;
    assert_eq!(function.call().await?.status, 404);
    assert_eq!(killed(&server, "lock.clear.after", "unlock")?, Some(9));
    answers(&function, 200).await?;

    // A namespace takes along what is in it.
    let locked = server.run(&[&["lock", function.namespace.as_str()], &place[..]].concat())?;
    assert!(locked.code == Some(0) && locked.stdout.contains("with 2 functions"), "{locked:?}");
    answers(&function, 404).await?;
    answers(&other, 404).await?;
    let alone = server.run(&[&["unlock", other.id.as_str()], &place[..]].concat())?;
    assert!(alone.code == Some(1) && alone.stderr.contains("namespace"), "{alone:?}");
    let unlocked = server.printed(&[&["unlock", function.namespace.as_str()], &place[..]].concat())?;
    assert_eq!((&unlocked["status"], &unlocked["applications"]), (&json!("ready"), &json!(2)));
    answers(&function, 200).await?;
    answers(&other, 200).await?;
    let nobody = server.run(&[&["lock", "11111111-1111-4111-8111-111111111111"], &place[..]].concat())?;
    assert!(
        nobody.code == Some(1) && nobody.stderr.contains("no namespace, function or container"),
        "{nobody:?}"
    );
    server.stop()
}
