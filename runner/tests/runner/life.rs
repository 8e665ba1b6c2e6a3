//! Deaths: of the server, of the launcher, of the outer process; and the ordinary end.

use std::fs;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use runner::Backend;
use runner::local::Client;
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Outcome, Outer, Server, World, read_line, require};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        crate::scenario("life_a_dead_server_comes_back_without_its_instances"),
        Trial::test("life_a_dead_launcher_takes_everything_along", || dies(Victim::Launcher)),
        Trial::test("life_a_dead_outer_process_takes_everything_along", || dies(Victim::Outer)),
        Trial::test("life_sigterm_ends_in_order", sigterm),
        Trial::test("life_the_server_has_no_privileges", privileges),
    ]
}

pub(crate) async fn run(name: &str, server: &Server, client: &Client) -> Outcome {
    match name {
        "life_a_dead_server_comes_back_without_its_instances" => comes_back(server, client).await,
        "life_forever" => forever(server, client).await,
        "life_status" => Ok(fs::write(server.data.join("status"), fs::read("/proc/self/status")?)?),
        _ => Err("no such scenario".into()),
    }
}

async fn comes_back(server: &Server, client: &Client) -> Outcome {
    if Client::restarts() == 0 {
        let layer = server.busybox(client).await?;
        server.start(client, server.script("orphan", &layer, "sleep 600"), "").await?;
        require(client.list().await?.len() == 1, "not listed")?;
        std::process::abort();
    }
    require(Client::restarts() == 1, "more restarts than deaths")?;
    require(!server.data.join("run/orphan.sock").exists(), "the socket is left")?;
    while !client.list().await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Runs an instance until SIGTERM, then ends with 0. A file says when it runs.
async fn forever(server: &Server, client: &Client) -> Outcome {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let layer = server.busybox(client).await?;
    let script = "echo up >&4; exec sleep 987654";
    let ends = server.start(client, server.script("forever", &layer, script), "").await?;
    require(read_line(&ends.ready).await? == "up", "up")?;
    fs::write(server.data.join("up"), "")?;
    terminate.recv().await;
    Ok(())
}

#[derive(Clone, Copy)]
enum Victim {
    Launcher,
    Outer,
}

fn dies(victim: Victim) -> Result<(), Failed> {
    let world = World::new()?;
    let mut outer = world.serve("life_forever")?;
    wait_until("the instance runs", || world.data().join("server/up").exists())?;
    let command = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // A process has no command line in the middle of an exec: look again.
    wait_until("the instance is seen", || {
        descendants(outer.id()).iter().any(|pid| command(pid).contains("987654"))
    })?;
    let processes = descendants(outer.id());
    let target = match victim {
        Victim::Outer => outer.id(),
        Victim::Launcher => children(outer.id())[0],
    };
    signal(target, Signal::KILL)?;
    outer.wait()?;
    wait_until("all are gone", || processes.iter().all(|pid| !alive(*pid)))?;
    // The next one finds what was left, and clears it away.
    fs::remove_file(world.data().join("server/up"))?;
    let mut outer = world.serve("life_forever")?;
    wait_until("the instance runs again", || world.data().join("server/up").exists())?;
    end(&mut outer)?;
    world.assert_nothing_left()
}

fn sigterm() -> Result<(), Failed> {
    let world = World::new()?;
    let mut outer = world.serve("life_forever")?;
    wait_until("the instance runs", || world.data().join("server/up").exists())?;
    let second = world.serve("life_forever")?.wait()?;
    if second.success() {
        return Err("two launchers share a data directory".into());
    }
    let processes = descendants(outer.id());
    end(&mut outer)?;
    if let Some(pid) = processes.iter().find(|pid| alive(**pid)) {
        return Err(format!("{pid} lives on").into());
    }
    world.assert_nothing_left()
}

fn privileges() -> Result<(), Failed> {
    let world = World::new()?;
    let status = world.serve("life_status")?.wait()?;
    let seen = fs::read_to_string(world.data().join("server/status"))?;
    for expected in [
        "Uid:\t64242\t64242\t64242\t64242",
        "Gid:\t64242\t64242\t64242\t64242",
        "Groups:\t \n",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "SigBlk:\t0000000000000000",
    ] {
        if !seen.contains(expected) {
            return Err(format!("{expected:?} is not in ({status}):\n{seen}").into());
        }
    }
    Ok(())
}

fn end(outer: &mut Outer) -> Result<(), Failed> {
    signal(outer.id(), Signal::TERM)?;
    let status = outer.wait()?;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
}

fn signal(pid: u32, signal: Signal) -> Result<(), Failed> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no process id")?;
    Ok(kill_process(pid, signal)?)
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        if Instant::now() >= deadline {
            return Err(format!("after 30 s still not: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
