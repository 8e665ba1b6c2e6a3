//! Kept-alive connections to one instance.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::{Address, BoxBody};

/// Most connections that are kept while idle.
const MOST_IDLE: usize = 128;
/// First and longest pause while the instance's accept queue is full.
const FULL_PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

pub(crate) struct Pool {
    address: Address,
    keep_alive: Duration,
    idle: Mutex<Vec<(SendRequest<BoxBody>, Instant)>>,
}

impl Pool {
    pub(crate) fn new(address: Address, keep_alive: Duration) -> Self {
        Self { address, keep_alive, idle: Mutex::default() }
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

    /// A new connection; the caller has a deadline.
    pub(crate) async fn connect(&self) -> Result<SendRequest<BoxBody>, Error> {
        match &self.address {
            Address::Unix(path) => handshake(connect_unix(path).await?).await,
            Address::Dial(dial) => handshake(dial.dial().await?).await,
        }
    }
}

/// A full accept queue is waited for: it says "busy", where a refused or missing socket says "dead".
async fn connect_unix(path: &Path) -> Result<UnixStream, Error> {
    let mut pause = FULL_PAUSES.0;
    loop {
        match UnixStream::connect(path).await {
            Err(full) if full.kind() == ErrorKind::WouldBlock => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(FULL_PAUSES.1);
            }
            connected => return connected,
        }
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<BoxBody>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to an instance ended");
        }
    });
    Ok(sender)
}
