//! A server that was taken over: what it asks of the launcher gets it nothing that it could not do by itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use runner::local::Client;
use runner::{Backend, CompileSpec, InstanceFds};

use crate::fixture::{Outcome, Server, World, require};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("hostile_files_of_others_keep_their_owner", || {
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
    })];
    trials.push(Trial::test("hostile_a_full_disk_leaves_nothing_in_the_way", || {
        let world = World::on_small_disk()?;
        let status = world.serve("hostile_full_disk")?.wait()?;
        if !status.success() {
            return Err(format!("the scenario ended with {status}; its words are above").into());
        }
        world.assert_nothing_left()
    }));
    trials.extend(
        [
            "hostile_long_lists_are_told_whole",
            "hostile_impatient_stops_leave_nothing",
            "hostile_floods_are_bounded",
            "hostile_sockets_do_not_hold_up_the_launcher",
        ]
        .map(crate::scenario),
    );
    trials
}

pub(crate) async fn run(name: &str, server: &Server, client: &Client) -> Outcome {
    match name {
        "hostile_files_of_others" => others_files(server, client).await,
        "hostile_full_disk" => full_disk(server, client).await,
        "hostile_long_lists_are_told_whole" => long_list(server, client).await,
        "hostile_impatient_stops_leave_nothing" => impatient(server, client).await,
        "hostile_floods_are_bounded" => flood(server, client).await,
        "hostile_sockets_do_not_hold_up_the_launcher" => lingering(server, client).await,
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
        inlet: None,
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

/// No room for what the runtime keeps is an answer; with room again, the same id starts.
async fn full_disk(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    let filler = server.data.join("filler");
    let mut file = File::create(&filler)?;
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    drop(file);
    // Descriptors without a file in the full directory.
    let fds = || -> Result<InstanceFds, Box<dyn std::error::Error>> {
        let listen = std::net::TcpListener::bind("127.0.0.1:0")?;
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map(|(_, far)| far);
        Ok(InstanceFds { listen: listen.into(), ready: pipe()?, log: pipe()?, control: pipe()? })
    };
    let spec = server.script("squeezed", &layer, "sleep 600");
    let error = client.start(spec.clone(), fds()?).await.err().ok_or("it started")?.to_string();
    // runc loses the system's own words on this way.
    require(error.contains("unable to store init state"), &error)?;
    fs::remove_file(filler)?;
    client.start(spec, fds()?).await?;
    client.stop("squeezed", Duration::ZERO).await?;
    Ok(())
}

async fn long_list(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    for number in 0..12 {
        let mut spec = server.script(&format!("long-{number:02}"), &layer, "sleep 600");
        spec.labels.insert("text".to_owned(), "x".repeat(15_000));
        server.start(client, spec, "").await?;
    }
    let listed = client.list().await?.len();
    require(listed == 12, format!("{listed} are listed"))
}

async fn impatient(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    for number in 0..8_u64 {
        let id = format!("short-{number}");
        let start = server.start(client, server.script(&id, &layer, "sleep 600"), "");
        let stop = async {
            tokio::time::sleep(Duration::from_millis(number * 3)).await;
            tokio::join!(client.stop(&id, Duration::ZERO), client.stop(&id, Duration::ZERO))
        };
        let (started, stopped) = tokio::join!(start, stop);
        stopped.0.and(stopped.1)?;
        if let Err(error) = started {
            return Err(format!("the runtime was cut off in its work: {error}").into());
        }
        let left = crate::fixture::cgroups(server.data.parent().ok_or("no parent")?)
            .into_iter()
            .map(|group| group.join(&id))
            .find(|group| group.exists());
        require(left.is_none(), format!("{left:?} is left"))?;
    }
    require(client.list().await?.is_empty(), "something is listed")
}

/// Layers that take long to unpack, many more at once than anybody needs.
async fn flood(server: &Server, client: &Client) -> Outcome {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..32 {
        gzip.write_all(&[0; 1 << 20])?;
    }
    let gzip = gzip.finish()?;
    let wanted: Vec<_> = (0..80_u32).map(|number| oci::Digest::of(&number.to_le_bytes())).collect();
    let mut calls = Vec::new();
    for diff_id in &wanted {
        calls.push(client.unpack(diff_id, server.blob(&gzip)?, runner::Compression::Gzip));
    }
    let mut most = 0;
    let watch = async {
        loop {
            let children = fs::read_to_string("/proc/1/task/1/children").unwrap_or_default();
            most = most.max(children.split_whitespace().count());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answers = async {
        let mut pending: Vec<std::pin::Pin<Box<_>>> = calls.into_iter().map(Box::pin).collect();
        std::future::poll_fn(|context| {
            pending.retain_mut(|call| std::future::Future::poll(call.as_mut(), context).is_pending());
            if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    };
    tokio::select! { () = answers => {}, () = watch => {} }
    require(most <= 24, format!("{most} children at once"))
}

async fn lingering(server: &Server, client: &Client) -> Outcome {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    let layer = server.busybox(client).await?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for _ in 0..10 {
        let mut stream = TcpStream::connect(listener.local_addr()?)?;
        let (_peer, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        while stream.write(&[0; 65_536]).is_ok() {}
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::from_secs(8)))?;
        let blob = File::from(std::os::fd::OwnedFd::from(stream));
        let begin = Instant::now();
        // The launcher's own work keeps it busy until our end is closed: its own is the last.
        let (list, _) = tokio::join!(client.list(), client.unpack(&layer, blob, runner::Compression::None));
        list?;
        client.list().await?;
        let took = begin.elapsed();
        require(took < Duration::from_secs(2), format!("an answer took {took:?}"))?;
    }
    Ok(())
}
