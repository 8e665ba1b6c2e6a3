//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one socket, strictly framed.

mod framing;
mod guarded;
mod held;
mod listener;
pub(crate) mod own;
pub(crate) mod probe;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;

pub(crate) use self::framing::Violation;
use self::guarded::{Guarded, Patience};
use self::listener::Accepted;
pub(crate) use self::listener::{Listener, bind_all};
use crate::config::Listen;
use crate::init::logs::Level;
use crate::init::signals::Stop;
use crate::request::forwarded::Peer;
use crate::request::{Shim, handle};

/// How long callers may take. A gateway may take all its time: it has limits of its own.
const PATIENCE: Patience = Patience { idle: Duration::from_secs(75), head: Duration::from_secs(10) };
/// Longest request line and its like beside the headers. Heads that are longer are not read to their end.
const HEAD_SPARE: usize = 64 << 10;
/// What the server's buffer has beyond the longest head: it is never full of one.
const BUFFER_SPARE: usize = 64 << 10;
/// After an error of `accept` that the next attempt would meet too (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// At the end: for callers that have begun to connect.
const SETTLE: Duration = Duration::from_millis(100);

/// Serves until told to stop, then takes in what waits in the socket and closes it. What still runs is watched
/// by the value that comes back.
pub(crate) async fn serve(
    shim: Arc<Shim>,
    listener: Listener,
    listen: Listen,
    stop: &mut Stop,
) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let builder = builder(&shim, listen);
    loop {
        // Cancellation: `accept` loses no connection when dropped.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => connect(&shim, &builder, listen, accepted, &connections),
                Err(error) => {
                    shim.logs.platform(Level::Warn, &format!("a connection was not accepted: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = stop.next() => break,
        }
    }
    shim.end.begin();
    if !listen.is_inherited() && listener.refuse() {
        // Cancellation: `accept` loses no connection when dropped.
        let _ = tokio::time::timeout(SETTLE, async {
            while let Ok(accepted) = listener.accept().await {
                connect(&shim, &builder, listen, accepted, &connections);
            }
        })
        .await;
    }
    for accepted in listener.close() {
        connect(&shim, &builder, listen, accepted, &connections);
    }
    connections
}

fn builder(shim: &Shim, listen: Listen) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let patience = patience(listen);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Between two requests; within a head [`Guarded`] is stricter.
        .header_read_timeout(patience.map(|patience| patience.idle))
        .max_buf_size(longest_head(shim).saturating_add(BUFFER_SPARE));
    let header_list = u32::try_from(longest_head(shim)).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience.map(|patience| patience.idle))
        .max_header_list_size(header_list);
    builder
}

fn longest_head(shim: &Shim) -> usize {
    shim.limits.headers.saturating_add(HEAD_SPARE)
}

fn patience(listen: Listen) -> Option<Patience> {
    (!listen.is_inherited()).then_some(PATIENCE)
}

fn connect(
    shim: &Arc<Shim>,
    builder: &Builder<TokioExecutor>,
    listen: Listen,
    (stream, address): Accepted,
    connections: &GracefulShutdown,
) {
    let peer = match (listen, address) {
        (Listen::Port(_), Some(address)) => Peer::stranger(address, &shim.trusted_proxies),
        (_, address) => Peer::gateway(address),
    };
    let peer = Arc::new(peer);
    let refused = Arc::new(OnceLock::new());
    let (logs, told) = (shim.logs.clone(), refused.clone());
    let on_refusal = move |violation: Violation| {
        logs.platform(Level::Debug, &format!("a connection is refused: {violation}"));
        // There is one a connection at most.
        let _ = told.set(violation);
    };
    let stream = Guarded::new(stream, longest_head(shim), patience(listen), on_refusal);
    let shim = shim.clone();
    let service = service_fn(move |request| {
        // What came in before the refusal is served still.
        let violation = refused.get().copied().filter(|_| guarded::is_stand_in(&request));
        let answer = handle(shim.clone(), peer.clone(), request, violation);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = connections.watch(connection);
    // Errors are the caller's: it went away or spoke nonsense, and hyper has answered what can be answered.
    tokio::spawn(async move { drop(watched.await) });
}
