//! `zipship backup` of a server at work, and `zipship restore` in another place.

mod postgresql;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{fs::MetadataExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zipship_tests::{Answer, Api, Function, Place, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const PATIENCE: Duration = Duration::from_secs(60);
const PRIVATE: Spec<'_> = Spec { privacy: "private", ..NODE };

fn zipship(arguments: &[&str]) -> anyhow::Result<Output> {
    killed_at("", arguments)
}

fn killed_at(point: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
    Ok(command.args(arguments).env("ZIPSHIP_KILL_AT", point).output()?)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn backup(data: &Path, to: &Path) -> anyhow::Result<Value> {
    let output = zipship(&["backup", path(to), "--data", path(data), "--json"])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn restore(from: &Path, data: &Path, more: &[&str]) -> anyhow::Result<Output> {
    zipship(&[&["restore", path(from), "--data", path(data)], more].concat())
}

fn refused(output: &Output, why: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains(why), "{error}");
}

fn answering(text: &str) -> Zip {
    Zip::of("handler.js", &format!("exports.handle = async () => '{text} ' + process.env.MARK;"))
}

/// The digest of the image that the tag `latest` of a function's repository names.
async fn image(api: &Api, function: &Function) -> anyhow::Result<String> {
    let namespace = api.get(&format!("namespaces/{}", function.namespace)).await?.expect(200);
    let endpoint = namespace["registry_endpoint"].as_str().context("an endpoint")?;
    let slug = endpoint.rsplit('/').next().context("a slug")?;
    let name = api.get(&format!("functions/{}", function.id)).await?.expect(200);
    let name = name["name"].as_str().context("a name")?;
    let url = format!("{}/v2/{slug}/{name}-{}/manifests/latest", api.url(), &function.id[..8]);
    let answer = Answer::of(api.request(Method::GET, &url).basic_auth("any", Some(api.key()))).await?;
    ensure!(answer.status == 200, "{url}: {} {}", answer.status, answer.text());
    let digest = answer.header("docker-content-digest");
    ensure!(digest == format!("sha256:{}", hex(&Sha256::digest(&answer.body))), "{digest}");
    Ok(digest)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn archive(api: &Api, id: &str) -> anyhow::Result<Vec<u8>> {
    let url = api.get(&format!("functions/{id}/download-url")).await?.expect(200);
    let url = url["url"].as_str().context("a url")?;
    let answer = Answer::of(api.request(Method::GET, url)).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    Ok(answer.body)
}

/// The same function of another server.
async fn again(server: &Server, function: &Function) -> anyhow::Result<String> {
    let found = server.api().get(&format!("functions/{}", function.id)).await?.expect(200);
    ensure!(found["status"] == "ready" || found["status"] == "pending", "{found}");
    let endpoint = format!("{}/f/{}", server.api().url(), function.id);
    // Its layers are unpacked anew, however long that takes: the caller is held.
    let answer = Answer::of(server.api().request(Method::GET, &endpoint)).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    Ok(answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_the_whole_state_in_another_place() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let api = server.api().clone();
    let quiet = Function::create(&api, NODE).await?;
    let private = Function::create_in(&api, &quiet.namespace, PRIVATE).await?;
    let (uploaded, deployed) = (
        Function::create_in(&api, &quiet.namespace, NODE).await?,
        Function::create_in(&api, &quiet.namespace, NODE).await?,
    );
    let variables = json!({"environment_variables": {"MARK": "kept"}});
    let _ = api.patch(&format!("namespaces/{}", quiet.namespace), &variables).await?.expect(200);
    for function in [&quiet, &private, &uploaded, &deployed] {
        function.redeploy(&answering("first")).await?;
    }
    let token = api.get(&format!("jwt/issue?function_id={}", private.id)).await?.expect(200);
    let token = token["token"].as_str().context("a token")?;
    let before = image(&api, &quiet).await?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("backup.tar");
    let (over, uploads) = (AtomicBool::new(false), AtomicU32::new(0));
    let load_of_uploads = async {
        while !over.load(Ordering::SeqCst) {
            let number = uploads.fetch_add(1, Ordering::SeqCst);
            uploaded.upload(&answering(&format!("upload {number}")).bytes()).await?;
        }
        anyhow::Ok(())
    };
    let load_of_deploys = async {
        let mut number = 0;
        while !over.load(Ordering::SeqCst) {
            number += 1;
            deployed.redeploy(&answering(&format!("deploy {number}"))).await?;
        }
        anyhow::Ok(())
    };
    let backups = async {
        let (mut told, own) = (Value::Null, file.clone());
        for number in 0..3 {
            let to = if number == 2 { own.clone() } else { folder.path().join(format!("{number}.tar")) };
            let data = server.data();
            told = tokio::task::spawn_blocking(move || backup(&data, &to)).await??;
        }
        over.store(true, Ordering::SeqCst);
        anyhow::Ok(told)
    };
    let (told, (), ()) = tokio::try_join!(backups, load_of_uploads, load_of_deploys)?;
    assert_eq!((&told["warnings"], &told["database"]), (&json!([]), &json!("sqlite")));
    assert_eq!(fs::metadata(&file)?.mode() & 0o777, 0o600);
    assert!(!server.data().join("server/backup").exists(), "nothing is left of it");
    assert_eq!(quiet.call().await?.text(), "first kept");
    assert_eq!(fs::read_dir(folder.path())?.count(), 3);

    // While it runs it keeps its place.
    refused(&restore(&file, &server.data(), &["--force"])?, "in use");
    let mut other = Server::at_fixed_port()?;
    let output = restore(&file, &other.data(), &["--json"])?;
    ensure!(output.status.success(), "{output:?}");
    let restored: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&restored["files"], &restored["bytes"]), (&told["files"], &told["bytes"]));
    every_digest_is_the_manifests(&file, &other.data().join("server"), &["zipship.db"])?;
    other.launch(&[])?;
    assert_eq!(other.api().key(), api.key());
    assert_eq!(again(&other, &quiet).await?, "first kept");
    assert_eq!(again(&other, &uploaded).await?, "first kept");
    let late = again(&other, &deployed).await?;
    assert!(late.ends_with(" kept"), "{late}");
    let call = |token: &str| {
        let url = format!("{}/f/{}", other.api().url(), private.id);
        Answer::of(other.api().request(Method::GET, &url).header("SCW-Functions-Token", token.to_owned()))
    };
    assert_eq!(call(token).await?.text(), "first kept", "a token of before is good");
    assert_eq!(image(other.api(), &quiet).await?, before);
    image(other.api(), &deployed).await?;
    assert_eq!(archive(other.api(), &quiet.id).await?, answering("first").bytes());
    let known: BTreeSet<_> = (0..uploads.load(Ordering::SeqCst))
        .map(|number| answering(&format!("upload {number}")).bytes())
        .chain([answering("first").bytes()])
        .collect();
    assert!(known.contains(&archive(other.api(), &uploaded.id).await?), "one that was whole");
    // It works on: a secret opens, and a deploy goes through.
    Function::create_in(other.api(), &quiet.namespace, NODE).await?.redeploy(&answering("new")).await?;
    other.stop()?;
    server.stop()
}

/// What was restored is what the backup says, file by file; which files. Of each kind there is one, and of `more`.
fn every_digest_is_the_manifests(backup: &Path, server: &Path, more: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut archive = tar::Archive::new(fs::File::open(backup)?);
    let mut manifest = Value::Null;
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.as_os_str() == "manifest.json" {
            manifest = serde_json::from_reader(entry)?;
        }
    }
    let files = manifest["files"].as_array().context("files")?;
    for expected in [".zip", "secret.key", "_tags/latest", "blobs/sha256/"].iter().chain(more) {
        ensure!(files.iter().any(|file| file["path"].as_str().unwrap().contains(expected)), "no {expected}");
    }
    let mut paths = Vec::new();
    for file in files {
        let path = file["path"].as_str().context("a path")?;
        let bytes = fs::read(server.join(path))?;
        ensure!(file["sha256"] == hex(&Sha256::digest(&bytes)).as_str(), "{file}");
        paths.push(path.to_owned());
    }
    Ok(paths)
}

/// Where in a backup the bytes of a function's archive begin.
fn begin_of_an_archive(backup: &Path) -> anyhow::Result<u64> {
    let mut archive = tar::Archive::new(fs::File::open(backup)?);
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.starts_with("archives") {
            return Ok(entry.raw_file_position());
        }
    }
    anyhow::bail!("there is no archive")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_or_in_the_way_is_refused_and_a_kill_leaves_nothing_half() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::create(server.api(), NODE).await?;
    function.redeploy(&Zip::of("handler.js", "exports.handle = async () => 'here';")).await?;
    let folder = tempfile::tempdir()?;
    let data = server.data();

    // Killed at any point there is no file; the next one is whole.
    for (number, point) in
        ["snapshot.before", "snapshot.after", "pack.before", "pack.after"].iter().enumerate()
    {
        let file = folder.path().join(format!("{number}.tar"));
        let arguments = ["backup", path(&file), "--data", path(&data)];
        let killed = killed_at(&format!("backup.{point}"), &arguments)?;
        assert_eq!(killed.status.signal(), Some(9), "{point}");
        assert!(!file.exists(), "{point}");
        backup(&data, &file)?;
        assert!(!folder.path().join(format!("{number}.tar.part")).exists());
        refused(&zipship(&arguments)?, "is there already");
    }
    killed_at("backup.pack.before", &["backup", path(folder.path()), "--data", path(&data)])?;
    server.halt()?;
    server.launch(&[])?;
    assert!(!data.join("server/backup").exists(), "a start removes what a killed one left");
    let file = folder.path().join("0.tar");
    let named = backup(&data, folder.path())?["path"].as_str().context("a path")?.to_owned();
    assert!(named.contains("zipship-20") && Path::new(&named).exists(), "{named}");
    server.halt()?;

    let fresh = folder.path().join("fresh");
    let content = fs::read(&file)?;
    let at = usize::try_from(begin_of_an_archive(&file)?)?;
    let mut changed = content.clone();
    changed[at] ^= 1;
    let broken = folder.path().join("broken");
    fs::write(&broken, &changed)?;
    refused(&restore(&broken, &fresh, &[])?, ".zip of the backup is not what was saved");
    fs::write(&broken, &content[..content.len() / 2])?;
    refused(&restore(&broken, &fresh, &[])?, "no whole backup");
    assert!(!fresh.join("server").exists() && !fresh.join("restoring").exists(), "nothing is put in place");

    refused(&restore(&file, &data, &[])?, "--force");
    for point in ["restore.unpack.after", "restore.place.before", "restore.place.after"] {
        let arguments = ["restore", path(&file), "--data", path(&data), "--force"];
        let killed = killed_at(point, &arguments)?;
        assert_eq!(killed.status.signal(), Some(9), "{point}");
        // Old or new, it is whole.
        server.launch(&[])?;
        assert_eq!(again(&server, &function).await?, "here", "{point}");
        server.halt()?;
    }
    let output = restore(&file, &data, &["--force", "--json"])?;
    ensure!(output.status.success(), "{output:?}");
    let aside: Value = serde_json::from_slice(&output.stdout)?;
    let aside = PathBuf::from(aside["aside"].as_str().context("a directory")?);
    assert!(aside.join("zipship.db").exists());
    server.launch(&[])?;
    assert_eq!(again(&server, &function).await?, "here");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_file_a_restored_server_does_not_start_until_it_is_put_back() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::create(server.api(), NODE).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("backup.tar");
    let output = zipship(&["backup", path(&file), "--data", path(&server.data()), "--without-keys"])?;
    ensure!(output.status.success(), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("secret.key") && told.contains("lost"), "{told}");
    let mut other = Server::at_fixed_port()?;
    let output = restore(&file, &other.data(), &[])?;
    ensure!(output.status.success(), "{output:?}");
    let key = other.data().join("server/secret.key");
    assert!(String::from_utf8_lossy(&output.stderr).contains(path(&key)), "{output:?}");
    assert!(!key.exists());
    let program = Place::find()?.existing("ZIPSHIP_BIN")?;
    let (settings, apart) = (folder.path().join("config.toml"), folder.path().join("apart"));
    fs::write(&settings, "uid = 60091\n")?;
    let mut configured = Command::new(&program);
    configured.args(["restore", path(&file), "--data", path(&apart)]).env("ZIPSHIP_CONFIG", &settings);
    ensure!(configured.output()?.status.success());
    assert_eq!(fs::metadata(apart.join("server/zipship.db"))?.uid(), 60091, "as `serve` finds its user");
    let mut starting = Command::new("timeout");
    starting.args(["--signal=TERM", "10"]).arg(program).args(["serve", "--listen", "127.0.0.1:0", "--data"]);
    let failed = starting.arg(other.data()).output()?;
    assert!(String::from_utf8_lossy(&failed.stderr).contains("put back the key file"), "{failed:?}");
    assert!(!key.exists(), "none is made in its place");
    fs::copy(server.data().join("server/secret.key"), &key)?;
    let owner = fs::metadata(other.data().join("server"))?;
    std::os::unix::fs::chown(&key, Some(owner.uid()), Some(owner.gid()))?;
    other.launch(&[])?;
    let _ = other.api().get(&format!("functions/{}", function.id)).await?.expect(200);
    other.stop()?;
    server.stop()
}
