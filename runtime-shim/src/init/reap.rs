//! Children: workers, whose end somebody waits for, and orphans, which only have to be collected.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
        }
    }
}

impl From<WaitStatus> for Exit {
    fn from(status: WaitStatus) -> Self {
        match status.terminating_signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Code(status.exit_status().unwrap_or(-1)),
        }
    }
}

/// Between being asked to end and being killed.
const STOP_GRACE: Duration = Duration::from_millis(500);

type Waiting = Arc<Mutex<HashMap<Pid, watch::Sender<Option<Exit>>>>>;

/// Collects every child of the shim, and tells those who wait.
#[derive(Clone, Default)]
pub(crate) struct Reaper {
    waiting: Waiting,
}

impl Reaper {
    /// Starts to collect. Orphans come to the first process by themselves; elsewhere they are asked for.
    ///
    /// Fails when no signal handler can be set.
    pub(crate) fn start() -> std::io::Result<Self> {
        if std::process::id() != 1 {
            match rustix::process::set_child_subreaper(rustix::process::getpid().into()) {
                // An emulator of user programs has no such thing: there orphans go to the machine's first process.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let reaper = Self::default();
        let mut children = signal(SignalKind::child())?;
        let waiting = reaper.waiting.clone();
        tokio::spawn(async move {
            while children.recv().await.is_some() {
                collect(&waiting);
            }
        });
        Ok(reaper)
    }

    /// A child just started. No `.await` may lie between its start and this call, or its end could be missed.
    pub(crate) fn adopt(&self, pid: Pid) -> Child {
        let (sender, exit) = watch::channel(None);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, sender);
        Child::of(pid, exit)
    }

    fn children(&self) -> Vec<Child> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().map(|(pid, sender)| Child::of(*pid, sender.subscribe())).collect()
    }

    /// Sends a signal to the group of every child that was adopted and lives.
    pub(crate) fn signal_all(&self, signal: Signal) {
        for child in self.children() {
            child.signal_groups(signal);
        }
    }

    pub(crate) fn kill_all(&self) {
        self.signal_all(Signal::KILL);
    }

    /// Asks every child to end, and kills those that do not.
    pub(crate) async fn end_all(&self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let children = self.children();
            self.signal_all(signal);
            let all = async {
                for child in &children {
                    child.exited().await;
                }
            };
            let _ = tokio::time::timeout(STOP_GRACE, all).await;
            // What they forked goes with them.
            children.iter().for_each(Child::kill);
        }
    }
}

fn collect(waiting: &Waiting) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        let sender = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
        if let Some(sender) = sender {
            sender.send_replace(Some(status.into()));
        }
    }
}

/// A process of ours, and its group; or several that end as one.
#[derive(Clone)]
pub(crate) struct Child {
    groups: Arc<Mutex<Groups>>,
    exit: watch::Receiver<Option<Exit>>,
}

#[derive(Default)]
struct Groups {
    leaders: Vec<Pid>,
    /// Whoever joins after this is killed, too.
    is_killed: bool,
}

impl Child {
    fn of(pid: Pid, exit: watch::Receiver<Option<Exit>>) -> Self {
        Self { groups: Arc::new(Mutex::new(Groups { leaders: vec![pid], is_killed: false })), exit }
    }

    /// Nobody yet; it has ended when `exit` says so.
    pub(crate) fn crew(exit: watch::Receiver<Option<Exit>>) -> Self {
        Self { groups: Arc::default(), exit }
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a process into a crew.
    pub(crate) fn join(&self, member: &Self) {
        let leaders = member.groups().leaders.clone();
        let mut groups = self.groups();
        groups.leaders.extend(leaders);
        if groups.is_killed {
            member.kill();
        }
    }

    /// A member has ended: its number may become somebody else's.
    pub(crate) fn leave(&self, member: &Self) {
        let gone = member.groups().leaders.clone();
        self.groups().leaders.retain(|leader| !gone.contains(leader));
    }

    pub(crate) async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(exit)) => *exit,
            // The reaper keeps the sender until it has told the end.
            _ => Exit::Code(-1),
        }
    }

    /// The process; of a crew the first. 0 when all are gone.
    pub(crate) fn pid(&self) -> u32 {
        self.groups().leaders.first().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Asks the whole group to end.
    pub(crate) fn terminate(&self) {
        self.signal_groups(Signal::TERM);
    }

    /// Kills the whole group, also when its leader is gone: what it forked goes with it. A group's number is
    /// not given to another process while a member lives, and we are the reaper of the leader.
    pub(crate) fn kill(&self) {
        self.groups().is_killed = true;
        self.signal_groups(Signal::KILL);
    }

    fn signal_groups(&self, signal: Signal) {
        for leader in &self.groups().leaders {
            // ESRCH: all gone already.
            let _ = kill_process_group(*leader, signal);
        }
    }
}
