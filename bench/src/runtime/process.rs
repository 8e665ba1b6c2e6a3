//! A server that runs, with all its processes: when it first answered, what CPU time it took, its memory.

use std::{
    collections::HashMap,
    fs,
    io::{BufReader, PipeReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process_group};

use super::subjects::Subject;

const START_DEADLINE: Duration = Duration::from_secs(20);
/// Fine enough beside the fastest start, and little work.
const POLL_EVERY: Duration = Duration::from_micros(200);
/// The kernel's unit of CPU time.
const TICK: Duration = Duration::from_millis(10);

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    /// From the start to the first 200.
    pub(super) first_200: Duration,
}

impl Server {
    pub(super) fn start(subject: &Subject<'_>) -> anyhow::Result<Self> {
        let make = subject.command.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
        Self::run(make)
    }

    pub(super) fn run(make: impl Fn(u16) -> Command) -> anyhow::Result<Self> {
        Self::run_until(200, make)
    }

    /// The same of a server whose first answer is another one.
    pub(super) fn run_until(wanted: u16, make: impl Fn(u16) -> Command) -> anyhow::Result<Self> {
        let port = free_port();
        let mut command = make(port);
        let (log, log_end) = std::io::pipe()?;
        // Read by whoever knows it; others inherit a pipe that nobody looks at.
        command.env("ZIPSHIP_LOG_FD", log_end.as_raw_fd().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        fcntl_setfd(&log_end, FdFlags::empty())?;
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        drop(log_end);
        let mut server = Self { child, port, first_200: Duration::ZERO };
        read_all(log);
        while server.get("/").map(|(status, _)| status) != Some(wanted) {
            if let Some(status) = server.child.try_wait()? {
                bail!("it ended before it answered: {status}");
            }
            ensure!(started.elapsed() < START_DEADLINE, "no {wanted} within {START_DEADLINE:?}");
            thread::sleep(POLL_EVERY);
        }
        server.first_200 = started.elapsed();
        Ok(server)
    }

    /// Status and body, on a connection of its own.
    pub(super) fn get(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(START_DEADLINE)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        Some((status, answer.split_off(body)))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that all its processes have taken, and those that have ended.
    pub(super) fn cpu(&self) -> Duration {
        let all = stats();
        let mut ticks = 0;
        let mut family = vec![self.child.id()];
        while let Some(pid) = family.pop() {
            ticks += all.get(&pid).map_or(0, |stat| stat.ticks);
            family.extend(all.iter().filter(|(_, stat)| stat.parent == pid).map(|(child, _)| child));
        }
        TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// CPU time of the first process alone, to the nanosecond: of those of its threads that live.
    pub(super) fn own_cpu(&self) -> anyhow::Result<Duration> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let on_cpu = text.split_ascii_whitespace().next().context("schedstat has a first field")?;
            total += on_cpu.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Workers of the shim die with it; others' are of the same group.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

pub(super) fn free_port() -> u16 {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    free.map_or(0, |address| address.port())
}

/// Somebody reads the log, as the server does.
fn read_all(log: PipeReader) {
    thread::spawn(move || std::io::copy(&mut BufReader::new(log), &mut std::io::sink()));
}

struct Stat {
    parent: u32,
    /// Its own and its dead children's, in user and in system mode.
    ticks: u64,
}

fn stats() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The name is in parentheses and may hold anything.
fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..=14).map(number).sum::<Option<u64>>()?;
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_process_whose_name_is_odd() {
        let text = "7 (a) b) S 3 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0";
        let stat = stat(text).unwrap();
        assert_eq!((stat.parent, stat.ticks), (3, 100));
    }
}
