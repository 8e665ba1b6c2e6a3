//! A server that was taken over: what it asks of the launcher gets it nothing that it could not do by itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use runner::local::Client;
use runner::{Backend, CompileSpec, InstanceFds};

use crate::fixture::{Outcome, Server, World, require};

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("hostile_files_of_others_keep_their_owner", || {
        let world = World::new()?;
        let victim = world.victim();
        fs::write(&victim, "root's")?;
        let status = world.serve("hostile_files_of_others")?.wait()?;
        let owner = fs::metadata(&victim)?.uid();
        if owner != 0 {
            return Err(Failed::from(format!("root's file belongs to user {owner} now")));
        }
        if !status.success() {
            return Err(format!("the scenario ended with {status}; its words are above").into());
        }
        world.assert_nothing_left()
    })]
}

pub(crate) async fn run(name: &str, server: &Server, client: &Client) -> Outcome {
    match name {
        "hostile_files_of_others" => others_files(server, client).await,
        _ => Err("no such scenario".into()),
    }
}

/// The runtime gives a sandbox its standard output as the sandbox's own: with it, a file would change hands.
async fn others_files(server: &Server, client: &Client) -> Outcome {
    let victim = server.victim();
    let directory = server.data.join("builds/thief");
    fs::create_dir_all(directory.join("src"))?;
    fs::create_dir_all(directory.join("out"))?;
    let spec = CompileSpec {
        id: "thief".to_owned(),
        source: directory.join("src"),
        out: directory.join("out"),
        argv: vec!["/usr/local/go/bin/go".to_owned(), "version".to_owned()],
        environment: BTreeMap::new(),
        workdir: "/src".to_owned(),
        memory_mb: 256,
        timeout: Duration::from_secs(20),
        log: File::open(&victim)?.into(),
    };
    let refused = client.compile(spec).await;
    require(refused.is_err(), "root's file was taken for a log")?;
    let layer = server.busybox(client).await?;
    let open = || File::open("/").map(Into::into);
    let fds = InstanceFds { listen: open()?, ready: open()?, log: open()?, control: open()? };
    let refused = client.start(server.script("way-out", &layer, "sleep 1"), fds).await;
    require(refused.is_err(), "a sandbox was given the machine's root directory")?;
    // Files of the server's own are what it says: one in memory, one on the disk.
    let memory = rustix::fs::memfd_create("control", rustix::fs::MemfdFlags::CLOEXEC)?;
    let listen = std::net::TcpListener::bind("127.0.0.1:0")?;
    let (_, ready) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let log = tempfile::tempfile_in(&server.data)?;
    let fds = InstanceFds { listen: listen.into(), ready, log: log.into(), control: memory };
    client.start(server.script("own", &layer, "sleep 600"), fds).await?;
    client.stop("own", Duration::ZERO).await?;
    Ok(())
}
