//! Signals. The first process has no default actions: what is not handled here is ignored.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reap::Reaper;

/// Signals that end the shim: the first one drains it, the second ends it at once.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Stop {
    /// Fails when no handler can be set.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Resolves at the next of them, with its number. Cancellation: none is lost by dropping the future.
    pub(crate) async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.quit.recv() => SignalKind::quit(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX)
    }
}

/// Signals that mean nothing to the shim go to the workers' groups; a hang-up goes nowhere, and does not end a
/// shim that is not the first process.
///
/// Fails when no handler can be set.
pub(crate) fn forward(reaper: Reaper) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user1 = signal(SignalKind::user_defined1())?;
    let mut user2 = signal(SignalKind::user_defined2())?;
    let mut window = signal(SignalKind::window_change())?;
    tokio::spawn(async move {
        use rustix::process::Signal;
        loop {
            // Cancellation: none is lost by dropping its future.
            let forwarded = tokio::select! {
                _ = hangup.recv() => continue,
                _ = user1.recv() => Signal::USR1,
                _ = user2.recv() => Signal::USR2,
                _ = window.recv() => Signal::WINCH,
            };
            reaper.signal_all(forwarded);
        }
    });
    Ok(())
}
