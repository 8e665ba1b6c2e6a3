//! The HTTP form: `POST /` with the event in JSON to the port on which the program listens.

mod connection;
mod reply;
mod wire;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use self::connection::Connection;
use self::reply::HttpReply;
use self::wire::Wire;
use super::envelope;
use crate::config::Function;
use crate::request::answer::{Answer, Refusal};
use crate::worker::pending::{Outcome, Pending};
use crate::worker::{Call, Ending};

/// Connections that are kept for the next request.
const KEPT: usize = 128;
/// A program that no longer listens is about to end: how long its end is waited for.
const END_NEWS: Duration = Duration::from_millis(250);
/// How much later than a connection a dying program's listener may be closed.
const LISTENER_LAG: Duration = Duration::from_millis(20);

pub(crate) struct HttpForm {
    upstream: SocketAddr,
    wire: Wire,
    pub(crate) pending: Pending,
    idle: Mutex<Vec<Connection>>,
    running: Mutex<HashMap<u32, AbortHandle>>,
}

impl HttpForm {
    pub(super) fn new(upstream: SocketAddr, function: &Function) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            wire: Wire::new(upstream, function),
            pending: Pending::default(),
            idle: Mutex::default(),
            running: Mutex::default(),
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u32, AbortHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(self: &Arc<Self>, call: &Call) -> (u32, oneshot::Receiver<Outcome>) {
        let (ticket, reply) = self.pending.open(&call.event.request_id);
        self.pending.sent(1);
        let event = call.event.with_body(&call.body);
        let form = self.clone();
        let task = tokio::spawn(async move {
            let reply = form.exchange(event).await;
            form.running().remove(&ticket);
            form.pending.close(ticket, reply.map(|answer| Some(answer.into())));
        });
        // The task cannot have run yet: this thread is the only one.
        self.running().insert(ticket, task.abort_handle());
        (ticket, reply)
    }

    /// Closes the connection, which is how Go's `net/http` tells a handler that its caller has gone. A
    /// goroutine that goes on holds up no other.
    pub(crate) fn cancel(&self, ticket: u32, why: Ending) {
        if why == Ending::TimedOut {
            if let Some(task) = self.running().remove(&ticket) {
                task.abort();
            }
            self.pending.close(ticket, Ok(None));
        }
    }

    async fn exchange(&self, event: Vec<u8>) -> Result<Answer, Refusal> {
        let mut connection = self.connection().await?;
        match connection.post(self.wire.request(event)).await {
            Ok(reply) => {
                let mut idle = self.idle();
                if reply.is_reusable && idle.len() < KEPT {
                    idle.push(connection);
                }
                drop(idle);
                read(reply)
            }
            Err(error) => {
                drop(connection);
                self.await_end().await;
                Err(lost(&error))
            }
        }
    }

    /// After a panic the program goes on; where it has died its end closes this call, and the next one finds it
    /// restarting.
    async fn await_end(&self) {
        let is_alive = match TcpStream::connect(self.upstream).await {
            // The listener of a dying program may be closed a little later than its connections.
            Ok(stream) => timeout(LISTENER_LAG, stream.readable()).await.is_err(),
            Err(_) => false,
        };
        if !is_alive {
            sleep(END_NEWS).await;
        }
    }

    /// A kept connection that is still open, else a new one.
    async fn connection(&self) -> Result<Connection, Refusal> {
        while let Some(kept) = { self.idle().pop() } {
            if kept.is_open() {
                return Ok(kept);
            }
        }
        match Connection::open(self.upstream).await {
            Ok(connection) => Ok(connection),
            Err(error) => {
                sleep(END_NEWS).await;
                Err(Refusal::worker_killed(&format!("the handler does not accept connections: {error}")))
            }
        }
    }
}

fn lost(error: &io::Error) -> Refusal {
    Refusal::worker_killed(&format!("the handler closed the connection without an answer: {error}"))
}

fn read(reply: HttpReply) -> Result<Answer, Refusal> {
    if reply.status == 200 {
        return envelope::answer(&reply.body);
    }
    let text = String::from_utf8_lossy(&reply.body);
    Err(Refusal::thrown("Runtime.HandlerError", "Error", text.trim()))
}
