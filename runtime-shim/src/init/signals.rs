//! Signals. The first process has no default actions: what is not handled here is ignored.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

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

    /// Resolves at the next of them. Cancellation: none is lost by dropping the future.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
        }
    }
}

/// A hang-up must not end a shim that is not the first process.
///
/// Fails when no handler can be set.
pub(crate) fn ignore_hangup() -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move { while hangup.recv().await.is_some() {} });
    Ok(())
}
