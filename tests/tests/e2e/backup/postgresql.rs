//! The store in PostgreSQL is saved by PostgreSQL's own means, as docs/backup.md says, and all else by `zipship backup`:
//! together they are the server in another place. The commands are the page's own.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::json;
use zipship_tests::{Answer, Function, Place, Postgres, Server};

use super::{
    NODE, PATIENCE, PRIVATE, again, answering, archive, every_digest_is_the_manifests, image, refused,
    restore,
};

const VARIABLE: &str = "ZIPSHIP_DATABASE_URL";
const PAUSE: Duration = Duration::from_millis(50);

/// The blocks of commands that the page has for PostgreSQL: what saves, and what restores.
fn commands() -> anyhow::Result<Vec<Vec<String>>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/backup.md");
    let page = fs::read_to_string(page)?;
    let (_, part) = page.split_once("## With PostgreSQL").context("a part about PostgreSQL")?;
    let blocks = part.split("```").skip(1).step_by(2);
    Ok(blocks.map(|block| block.trim().lines().map(ToOwned::to_owned).collect()).collect())
}

/// Where somebody types commands: a directory, a database, and a server's data.
struct Desk<'a> {
    folder: &'a Path,
    database: &'a Postgres,
    server: &'a Server,
}

impl Desk<'_> {
    /// Runs a line of the page as root; what it said on standard error.
    fn types(&self, line: &str) -> anyhow::Result<String> {
        let line = line.replace("/var/backups/", &format!("{}/", self.folder.display()));
        let mut shell = Command::new("bash");
        shell.args(["-euc", &format!("sudo() {{ \"$@\"; }}\n{line}")]).current_dir(self.folder);
        let programs = Place::find()?.existing("ZIPSHIP_BIN")?;
        for (name, value) in self.database.environment() {
            let value = match name {
                "PATH" => format!("{}:{value}", programs.parent().context("a folder")?.display()),
                _ => value,
            };
            shell.env(name, value);
        }
        shell.env("URL", self.database.url("postgres")).env(VARIABLE, self.database.url("postgres"));
        let output = shell.env("ZIPSHIP_DATA", self.server.data()).output()?;
        ensure!(output.status.success(), "{line}: {output:?}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_postgresql_a_dump_and_a_backup_are_the_whole_state_in_another_place() -> anyhow::Result<()> {
    let commands = commands()?;
    let [saves, restores] = &commands[..] else { anyhow::bail!("{commands:?}") };
    let [dump, back_up] = &saves[..] else { anyhow::bail!("{saves:?}") };
    let database = Postgres::start()?;
    let mut server = Server::at_fixed_port()?.with_bases(&["node10"])?;
    server.launch(&[(VARIABLE, &database.url("postgres"))])?;
    let api = server.api().clone();
    let quiet = Function::create(&api, NODE).await?;
    let private = Function::create_in(&api, &quiet.namespace, PRIVATE).await?;
    let changed = Function::create_in(&api, &quiet.namespace, NODE).await?;
    let deleted = Function::create_in(&api, &quiet.namespace, NODE).await?;
    let variables = json!({"environment_variables": {"MARK": "kept"}});
    let _ = api.patch(&format!("namespaces/{}", quiet.namespace), &variables).await?.expect(200);
    for function in [&quiet, &private, &changed, &deleted] {
        function.redeploy(&answering("first")).await?;
    }
    let token = api.get(&format!("jwt/issue?function_id={}", private.id)).await?.expect(200);
    let token = token["token"].as_str().context("a token")?;
    let before = image(&api, &quiet).await?;

    let folder = tempfile::tempdir()?;
    let desk = Desk { folder: folder.path(), database: &database, server: &server };
    desk.types(dump)?;
    // Between the two it goes on; what comes of it is in the files, and the dump names none of it.
    changed.redeploy(&answering("second")).await?;
    let path = format!("functions/{}", deleted.id);
    let _ = api.delete(&path).await?.expect(200);
    let deadline = Instant::now() + PATIENCE;
    while api.get(&path).await?.status != 404 {
        ensure!(Instant::now() < deadline, "it stays");
        tokio::time::sleep(PAUSE).await;
    }
    let said = desk.types(back_up)?;
    ensure!(said.contains("the database is not in it: save it with pg_dump, before the rest"), "{said}");
    let found = fs::read_dir(folder.path())?.filter_map(|entry| Some(entry.ok()?.path()));
    let backups: Vec<_> = found.filter(|path| path.extension().is_some_and(|it| it == "tar")).collect();
    let [backup] = &backups[..] else { anyhow::bail!("{backups:?}") };
    // Files alone are no server.
    refused(&restore(backup, &server.data(), &["--force"])?, "in use");
    server.stop()?;
    drop(database);

    let database = Postgres::start()?;
    let mut other = Server::at_fixed_port()?.with_bases(&["node10"])?;
    let desk = Desk { folder: folder.path(), database: &database, server: &other };
    for line in restores {
        desk.types(line)?;
    }
    let files = every_digest_is_the_manifests(backup, &other.data().join("server"), &[])?;
    ensure!(!files.iter().any(|file| file.contains("zipship.db")), "{files:?}");
    other.launch(&[(VARIABLE, &database.url("postgres"))])?;
    assert_eq!(other.api().key(), api.key());
    for function in [&quiet, &changed, &deleted] {
        assert_eq!(again(&other, function).await?, "first kept");
    }
    let url = format!("{}/f/{}", other.api().url(), private.id);
    let request = other.api().request(reqwest::Method::GET, &url).header("SCW-Functions-Token", token);
    assert_eq!(Answer::of(request).await?.text(), "first kept", "a token of before is good");
    assert_eq!(image(other.api(), &quiet).await?, before);
    assert_eq!(archive(other.api(), &quiet.id).await?, answering("first").bytes());

    // It works on. What lost its archive in between needs another one, and serves until then.
    for function in [&quiet, &changed] {
        assert_eq!(function.at(other.api()).deploy().await?["status"], "ready");
        assert_eq!(again(&other, function).await?, "first kept");
    }
    let deleted = deleted.at(other.api());
    let settled = deleted.deploy().await?;
    let cause = settled["error_message"].as_str().context("a cause")?;
    ensure!(cause.contains("the uploaded archive can't be read"), "{settled}");
    assert_eq!(deleted.call().await?.text(), "first kept");
    deleted.redeploy(&answering("another")).await?;
    assert_eq!(deleted.call().await?.text(), "another kept");
    other.stop()
}
