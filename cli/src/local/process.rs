//! A child process that is watched through its descriptor: signals never reach another process of the same id.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::timeout;

/// A process that runs, or has ended.
pub(crate) struct Process {
    descriptor: OwnedFd,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts it. It is reaped by a task of the present runtime, whose thread must live as long as the process:
    /// the process dies with the thread that started it.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let descriptor = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let news = watched(descriptor.try_clone()?)?;
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            // An error would mean that the descriptor can't be waited for; waiting for the child still works.
            let _ = news.readable().await;
            let _ = sender.send(child.wait().ok());
        });
        Ok(Self { descriptor, ended })
    }

    /// Resolves when it has ended.
    pub(crate) async fn ended(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// Without effect on one that has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.descriptor, signal);
    }

    /// Asks it to end, kills it when it has not within `grace`, and resolves when it has.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.signal(Signal::TERM);
        if timeout(grace, self.ended()).await.is_err() {
            self.signal(Signal::KILL);
            self.ended().await;
        }
    }
}

/// A descriptor that can be waited for.
#[expect(
    deprecated,
    reason = "its successor is unsafe for types that may change their descriptor; `OwnedFd` never does"
)]
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}

/// How a process ended, in words.
pub(crate) fn words(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("it ended with code {code}"),
        Some((_, Some(signal))) => format!("it was ended by signal {signal}"),
        _ => "it ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_does_not_heed_is_killed() {
        let stubborn = "trap '' TERM; echo up; while :; do sleep 0.1; done";
        let (mut reader, writer) = io::pipe().unwrap();
        let mut command = Command::new("sh");
        let process = Process::spawn(command.args(["-c", stubborn]).stdout(writer)).unwrap();
        let mut up = [0; 3];
        io::Read::read_exact(&mut reader, &mut up).unwrap();
        process.stop(Duration::from_millis(50)).await;
        assert_eq!(words(process.ended().await), "it was ended by signal 9");
        process.signal(Signal::KILL);
    }
}
