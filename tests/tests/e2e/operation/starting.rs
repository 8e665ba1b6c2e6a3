//! What keeps a server from starting, and what it leaves alone then.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::SystemTime,
};

use zipship_tests::{Place, Server};

/// `zipship serve`, which is to be refused.
fn serve(data: &Path, more: &[&str]) -> anyhow::Result<Output> {
    let place = Place::find()?;
    let mut command = Command::new("timeout");
    command.args(["--signal=TERM", "20"]).arg(place.existing("ZIPSHIP_BIN")?).args(["serve", "--data"]);
    command.arg(data).arg("--images-dir").arg(place.existing("ZIPSHIP_IMAGES")?);
    Ok(command.args(more).output()?)
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    for words in words {
        assert!(error.contains(words), "{words:?} is not in: {error}");
    }
}

/// Owner, mode and last change of a file.
type About = (u32, u32, Option<SystemTime>);

/// All that is there; what a running server writes itself is not looked into.
fn what_is_there(data: &Path) -> anyhow::Result<BTreeMap<PathBuf, About>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![data.to_owned()]);
    while let Some(path) = open.pop() {
        let about = fs::symlink_metadata(&path)?;
        let own = ["server", "launcher"].iter().any(|name| path == data.join(name));
        if about.is_dir() && !own {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
        let changed = if own { None } else { Some(about.modified()?) };
        found.insert(path, (about.uid(), about.mode(), changed));
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_a_data_directory_is_refused_before_it_touches_anything() -> anyhow::Result<()> {
    let server = Server::start()?;
    // A server makes this link where it is missing.
    fs::remove_file(server.data().join("credentials.json"))?;
    let before = what_is_there(&server.data())?;
    assert!(before.keys().any(|path| path.starts_with(server.data().join("images"))), "{before:?}");
    let second = serve(&server.data(), &["--listen", "127.0.0.1:0", "--uid", "60091"])?;
    refused(&second, 1, &["is in use by another server", "take another directory"]);
    assert_eq!(what_is_there(&server.data())?, before);
    let _ = server.api().get("namespaces").await?.expect(200);
    server.stop()
}

#[test]
fn an_address_or_a_directory_that_cannot_be_had_ends_the_start_with_what_to_do() -> anyhow::Result<()> {
    let other = TcpListener::bind("127.0.0.1:0")?;
    let taken = other.local_addr()?.to_string();
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    for (listen, words) in
        [(taken.as_str(), "end the program that does"), ("192.0.2.1:8080", "one of this machine's addresses")]
    {
        let output = serve(&folder.path().join("data"), &["--listen", listen])?;
        refused(&output, 64, &[&format!("can't listen on {listen}: "), words]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(error.matches("can't listen").count(), 1, "not again and again: {error}");
    }
    let closed = folder.path().join("closed");
    fs::create_dir(&closed)?;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
    let output = serve(&closed.join("data"), &["--listen", "127.0.0.1:0"])?;
    refused(&output, 127, &["Permission denied", "must let that user pass (chmod o+x)"]);
    let output = serve(Path::new("/dev/null/data"), &[])?;
    drop(other);
    refused(
        &output,
        1,
        &["the data directory /dev/null/data can't be made; --data names another: Not a directory"],
    );
    Ok(())
}
