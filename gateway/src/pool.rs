//! Kept-alive connections to one instance over its Unix socket.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::BoxBody;

/// Most connections that are kept while idle.
const MOST_IDLE: usize = 128;
/// First and longest pause while the instance's accept queue is full.
const FULL_PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

pub(crate) struct Pool {
    socket: PathBuf,
    keep_alive: Duration,
    idle: Mutex<Vec<(SendRequest<BoxBody>, Instant)>>,
}

impl Pool {
    pub(crate) fn new(socket: PathBuf, keep_alive: Duration) -> Self {
        Self { socket, keep_alive, idle: Mutex::default() }
    }

    /// The connection used last that still may be used.
    pub(crate) fn take(&self) -> Option<SendRequest<BoxBody>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(connection, since)| !connection.is_closed() && since.elapsed() < self.keep_alive);
        // One whose request body is still being written is not ready, though its answer is complete.
        let at = idle.iter().rposition(|(connection, _)| connection.is_ready())?;
        Some(idle.swap_remove(at).0)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn keep(&self, connection: SendRequest<BoxBody>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !connection.is_closed() {
            idle.push((connection, Instant::now()));
        }
    }

    /// A new connection. A full accept queue is waited for (the caller has a deadline): it says "busy", where a
    /// refused or missing socket says "dead".
    pub(crate) async fn connect(&self) -> Result<SendRequest<BoxBody>, Error> {
        let mut pause = FULL_PAUSES.0;
        let stream = loop {
            match UnixStream::connect(&self.socket).await {
                Err(full) if full.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(FULL_PAUSES.1);
                }
                connected => break connected?,
            }
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to an instance ended");
            }
        });
        Ok(sender)
    }
}
