//! What an instance can and can't do, seen from inside, and how its end is seen from outside.

use std::fs;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use runner::local::Client;
use runner::{Backend, InstanceState, RunnerError};

use crate::fixture::{Outcome, Server, cgroups, exit_of, read_all, read_line, require};

const NAMES: [&str; 6] = [
    "a_sandbox_confines",
    "a_fork_bomb_is_bounded",
    "want_of_memory_is_told",
    "stop_asks_then_kills",
    "the_cpu_limit_is_written_later",
    "a_failed_start_says_why",
];

pub(crate) fn trials() -> Vec<Trial> {
    NAMES.map(crate::scenario).into()
}

pub(crate) async fn run(name: &str, server: &Server, client: &Client) -> Outcome {
    match name {
        "a_sandbox_confines" => confines(server, client).await,
        "a_fork_bomb_is_bounded" => fork_bomb(server, client).await,
        "want_of_memory_is_told" => memory(server, client).await,
        "stop_asks_then_kills" => stop(server, client).await,
        "the_cpu_limit_is_written_later" => cpu(server, client).await,
        "a_failed_start_says_why" => failed_start(server, client).await,
        _ => Err("no such scenario".into()),
    }
}

const PROBE: &str = r#"exec >&4 2>&1
echo uid=$(id -u) gid=$(id -g)
grep -E '^(CapBnd|CapEff|CapPrm|NoNewPrivs|Seccomp):' /proc/self/status
echo x > /new; echo root=$?
echo x > /bin/new; echo bin=$?
dd if=/dev/zero of=/tmp/big bs=1048576 count=80; echo tmp=$?
ls -l /tmp/big
ls /sys /dev
ifconfig -a
mount -t tmpfs none /tmp; echo mount=$?
unshare -U true; echo unshare=$?
echo c > /proc/sysrq-trigger; echo sysrq=$?
ls -l /bin/busybox
ls -l /proc/self/fd/
env
echo control=$(cat <&6)
echo to the log >&5
exit 9"#;

async fn confines(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    let mut exits = client.exits();
    let ends = server.start(client, server.script("probe", &layer, PROBE), "the configuration").await?;
    let seen = read_all(ends.ready).await?;
    for expected in [
        "uid=1000 gid=1000",
        "CapBnd:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "/new: Read-only file system",
        "root=1",
        "/bin/new: Read-only file system",
        "No space left on device",
        "67108864",
        "inet addr:127.0.0.1",
        "UP LOOPBACK RUNNING",
        "mount=1",
        "unshare=1",
        "sysrq=1",
        "-rwxr-xr-x",
        "ZIPSHIP_LISTEN_FD=3",
        "ZIPSHIP_READY_FD=4",
        "ZIPSHIP_LOG_FD=5",
        "ZIPSHIP_CONTROL_FD=6",
        "control=the configuration",
        "3 -> socket:",
    ] {
        require(seen.contains(expected), format!("{expected:?} is not in:\n{seen}"))?;
    }
    let interfaces = seen.matches("Link encap:").count();
    require(interfaces == 1, format!("{interfaces} interfaces in:\n{seen}"))?;
    require(read_all(ends.log).await? == "to the log\n", "the log's descriptor")?;
    let exited = exit_of(&mut exits, "probe").await?;
    require(
        exited.code == Some(9) && exited.signal.is_none() && !exited.out_of_memory,
        format!("{exited:?}"),
    )?;
    require(ends.listen.exists(), "the socket")
}

async fn fork_bomb(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    let script = "exec >&4 2>&1; while true; do sleep 60 & echo one; done";
    let mut spec = server.script("bomb", &layer, script);
    spec.pids = 16;
    let ends = server.start(client, spec, "").await?;
    let seen = read_all(ends.ready).await?;
    let forks = seen.lines().filter(|line| *line == "one").count();
    require((5..16).contains(&forks), format!("{forks} forks"))?;
    require(seen.contains("can't fork"), seen)
}

async fn memory(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    let mut exits = client.exits();
    // A child is killed; the first process lives and could still tell somebody.
    let script = "tail -c 200000000 /dev/zero >/dev/null; echo status=$? >&4";
    let mut spec = server.script("hungry", &layer, script);
    spec.memory_mb = 48;
    let ends = server.start(client, spec, "").await?;
    let seen = read_all(ends.ready).await?;
    require(seen == "status=137\n", &seen)?;
    let exited = exit_of(&mut exits, "hungry").await?;
    require(exited.out_of_memory && exited.code == Some(0), format!("{exited:?}"))
}

async fn stop(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    let mut exits = client.exits();
    let polite = "trap 'exit 7' TERM; echo up >&4; while true; do sleep 0.05; done";
    let ends = server.start(client, server.script("polite", &layer, polite), "").await?;
    require(read_line(&ends.ready).await? == "up", "up")?;
    let listed = client.list().await?;
    require(
        listed.len() == 1 && listed[0].state == InstanceState::Running && listed[0].labels["function"] == "f",
        format!("{listed:?}"),
    )?;
    let again = server.script("polite", &layer, "");
    fs::remove_file(&ends.listen)?;
    let refused = server.start(client, again, "").await.err().map(|error| error.to_string());
    require(refused == Some(RunnerError::Exists("polite".to_owned()).to_string()), format!("{refused:?}"))?;
    client.stop("polite", Duration::from_secs(20)).await?;
    let exited = exit_of(&mut exits, "polite").await?;
    require(exited.code == Some(7), format!("{exited:?}"))?;

    let stubborn = "trap '' TERM; echo up >&4; while true; do sleep 0.05; done";
    let ends = server.start(client, server.script("stubborn", &layer, stubborn), "").await?;
    require(read_line(&ends.ready).await? == "up", "up")?;
    let begin = Instant::now();
    client.stop("stubborn", Duration::from_millis(300)).await?;
    require(begin.elapsed() >= Duration::from_millis(300), "killed before its grace was over")?;
    let exited = exit_of(&mut exits, "stubborn").await?;
    require(exited.signal == Some(9) && !exited.out_of_memory, format!("{exited:?}"))?;
    require(client.list().await?.is_empty(), "still listed")?;
    client.stop("never-was", Duration::ZERO).await?;
    Ok(())
}

async fn cpu(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    let _ends = server.start(client, server.script("slow", &layer, "sleep 600"), "").await?;
    let quota = || -> Option<String> {
        let groups = cgroups(server.data.parent()?);
        let files = groups
            .iter()
            .flat_map(|group| ["cpu.cfs_quota_us", "cpu.max"].map(|name| group.join("slow").join(name)));
        files.into_iter().find_map(|file| fs::read_to_string(file).ok())
    };
    let before = quota().ok_or("no CPU group")?;
    require(before.starts_with("-1") || before.starts_with("max"), format!("before: {before}"))?;
    client.limit_cpu("slow", 140).await?;
    let after = quota().ok_or("no CPU group")?;
    require(after.starts_with("14000"), format!("after: {after}"))?;
    require(client.limit_cpu("nobody", 140).await.is_err(), "a limit for nobody")?;
    client.stop("slow", Duration::ZERO).await?;
    Ok(())
}

async fn failed_start(server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    let mut spec = server.script("broken", &layer, "");
    spec.entrypoint = vec!["/bin/nothing".to_owned()];
    let error = server.start(client, spec, "").await.err().ok_or("it started")?.to_string();
    require(error.contains("/bin/nothing"), &error)?;
    let missing = oci::Digest::of(b"never unpacked");
    let error =
        server.start(client, server.script("bare", &missing, ""), "").await.err().ok_or("it started")?;
    require(error.to_string().contains("is not unpacked"), &error)?;
    let error =
        server.start(client, server.script("../up", &layer, ""), "").await.err().ok_or("it started")?;
    require(error.to_string().contains("No such file") || error.to_string().contains("invalid"), &error)?;
    require(client.list().await?.is_empty(), "something is listed")
}
