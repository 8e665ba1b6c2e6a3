//! `zipship keys` beside a server that runs.

use std::{
    os::unix::{fs::MetadataExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use zipship_tests::{Place, Server};

fn command(data: &Path, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
    command.arg("keys").args(arguments).arg("--data").arg(data);
    Ok(command)
}

/// What `zipship keys` did: exit code, standard output, standard error.
fn keys(data: &Path, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String, String)> {
    let output = command(data, arguments)?.output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code(), text(output.stdout), text(output.stderr)))
}

fn json(data: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let (code, out, error) = keys(data, &[arguments, &["--json"]].concat())?;
    assert_eq!(code, Some(0), "{arguments:?}: {error}");
    Ok(serde_json::from_str(&out)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_used_listed_and_revoked_while_the_server_runs() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let data = server.data();
    let status = async |key: &str| -> anyhow::Result<u16> {
        Ok(server.api().with_key(key).get("namespaces").await?.status)
    };

    let made = json(&data, &["create", "--name", "ci", "--expires", "90d"])?;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!((&made["organization_id"], key.len()), (&server.api().organization().into(), 36));
    assert_eq!(status(key).await?, 200);
    // Another organization sees nothing of the first one's.
    let _ = server.api().post("namespaces", &serde_json::json!({"name": "mine"})).await?.expect(200);
    let stranger = json(&data, &["create", "--new-organization"])?;
    let theirs =
        server.api().with_key(stranger["key"].as_str().unwrap()).get("namespaces").await?.expect(200);
    assert_eq!(theirs["total_count"], 0);
    let (code, _, error) = keys(&data, &["create"])?;
    assert!(code == Some(1) && error.contains("--organization"), "{error}");

    let (_, table, _) = keys(&data, &["list"])?;
    assert!(table.contains("first key") && table.contains("ci") && table.contains(id), "{table}");
    assert!(!table.contains(key) && !table.contains(server.api().key()), "a list shows no key");
    let listed = json(&data, &["list"])?;
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");

    json(&data, &["revoke", id])?;
    assert_eq!(status(key).await?, 401, "at once");
    let (code, _, error) = keys(&data, &["revoke", id])?;
    assert!(code == Some(1) && error.contains("was not found") && error.contains("keys list"), "{error}");
    let (code, _, error) = keys(&data, &["revoke", stranger["id"].as_str().unwrap()])?;
    assert!(code == Some(0) && error.contains("last good key"), "{error}");
    assert_eq!(keys(&data, &["create", "--expires", "yesterday"])?.0, Some(2));

    // Beside a server that is stopped too, and no file becomes root's.
    server.halt()?;
    let again = json(&data, &["create", "--organization", server.api().organization(), "--expires", "1h"])?;
    let own = data.join("server");
    let owner = std::fs::metadata(&own)?.uid();
    for entry in std::fs::read_dir(&own)? {
        let entry = entry?;
        assert_eq!(entry.metadata()?.uid(), owner, "{:?}", entry.file_name());
    }
    server.launch(&[])?;
    let known = server.api().with_key(again["key"].as_str().unwrap()).get("namespaces").await?;
    assert_eq!(known.status, 200);
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_command_leaves_a_key_whole_or_not_at_all() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let data = server.data();
    let killed = |point: &str, arguments: &[&str]| -> anyhow::Result<usize> {
        let mut command = command(&data, arguments)?;
        let status = command.env("ZIPSHIP_KILL_AT", point).stdout(Stdio::null()).status()?;
        assert_eq!(status.signal(), Some(9), "{point}");
        Ok(json(&data, &["list"])?.as_array().unwrap().len())
    };
    assert_eq!(killed("key.create.before", &["create"])?, 1);
    // The key was never shown, but its id is, so it can be revoked.
    assert_eq!(killed("key.create.after", &["create"])?, 2);
    let listed = json(&data, &["list"])?;
    let id = listed[1]["id"].as_str().unwrap();
    assert_eq!(killed("key.revoke.before", &["revoke", id])?, 2);
    assert_eq!(killed("key.revoke.after", &["revoke", id])?, 1);
    let _ = server.api().get("namespaces").await?.expect(200);
    server.stop()
}

#[test]
fn without_a_servers_state_it_says_so() -> anyhow::Result<()> {
    let nothing = tempfile::tempdir()?;
    let (code, _, error) = keys(nothing.path(), &["list"])?;
    assert!(code == Some(1) && error.contains("zipship serve"), "{error}");
    assert_eq!(std::fs::read_dir(nothing.path())?.count(), 0, "nothing is made");
    Ok(())
}
