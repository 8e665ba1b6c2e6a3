//! The accept loop of a listener in front of the gateway: HTTP/1.1, and HTTP/2 where a secured connection agreed on it;
//! heads in bounded time, an end that lets what runs finish. What a request is answered with is the caller's.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::BodyError;

/// How long a client may take to send its request's head; a kept connection may rest as long.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// How long securing a connection may take.
const SECURE_LIMIT: Duration = Duration::from_secs(10);
/// How long, at the listener's end, a connection has for the first request of all.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 250;
/// A silent HTTP/2 connection is asked this often whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and older.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What comes between an accepted connection and HTTP: nothing ([`Plain`]), or TLS.
pub trait Secure: Clone + Send + Sync + 'static {
    /// The connection afterwards.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Makes it so. Given up when it takes too long.
    fn secure(&self, stream: TcpStream) -> impl Future<Output = io::Result<(Self::Io, Protocol)>> + Send;
}

/// HTTP/1.1 on the connection as it is.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Secure for Plain {
    type Io = TcpStream;

    async fn secure(&self, stream: TcpStream) -> io::Result<(TcpStream, Protocol)> {
        Ok((stream, Protocol::Http1))
    }
}

/// A listener that accepts until it is stopped.
pub struct Listening {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    /// Closed when the last connection has ended.
    ended: mpsc::Receiver<()>,
}

impl Listening {
    /// Accepts on `socket` from now on. `answer` gets each request with the address that it comes from.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start<A, F, B>(socket: TcpListener, secure: impl Secure, answer: A) -> Self
    where
        A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BodyError>,
    {
        let (stop, told) = watch::channel(false);
        let (lives, ended) = mpsc::channel(1);
        let serve = move |stream, peer, end| {
            tokio::spawn(serve(stream, peer, secure.clone(), answer.clone(), end));
        };
        Self { stop, accepting: tokio::spawn(accept(socket, serve, End { told, _lives: lives })), ended }
    }

    /// No new connections; requests that run may finish within `limit`.
    pub async fn stop(mut self, limit: Duration) {
        let _ = self.stop.send(true);
        if self.accepting.await.is_ok() {
            let _ = tokio::time::timeout(limit, self.ended.recv()).await;
        }
    }
}

/// How a connection hears of the listener's end, and the listener, when the last of these is dropped, of theirs.
#[derive(Clone)]
struct End {
    told: watch::Receiver<bool>,
    _lives: mpsc::Sender<()>,
}

impl End {
    /// Until the connection is to take no further request.
    async fn time_to_leave(&mut self, first: &First) {
        // An error says that nobody is there to tell: then it is the end too.
        let _ = self.told.wait_for(|told| *told).await;
        // HTTP would close a connection that has asked nothing yet; its first request may be on its way.
        if !first.seen.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(FIRST_REQUEST, first.comes.notified()).await;
        }
    }
}

/// A connection's first request.
#[derive(Default)]
struct First {
    seen: AtomicBool,
    comes: Notify,
}

impl First {
    fn tell(&self) {
        if !self.seen.swap(true, Ordering::Relaxed) {
            self.comes.notify_one();
        }
    }
}

async fn accept(socket: TcpListener, serve: impl Fn(TcpStream, SocketAddr, End), mut end: End) {
    loop {
        // Cancel-safe: an accept that is dropped has taken no connection.
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = end.told.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => serve(stream, peer, end.clone()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    accept_rest(socket, &serve, &end);
}

/// Whom the kernel has connected already: closing the socket would reset them, with what they have sent.
fn accept_rest(socket: TcpListener, serve: impl Fn(TcpStream, SocketAddr, End), end: &End) {
    let Ok(socket) = socket.into_std() else { return };
    while let Ok((stream, peer)) = socket.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            serve(stream, peer, end.clone());
        }
    }
}

/// The life of one connection.
async fn serve<A, F, B>(stream: TcpStream, peer: SocketAddr, secure: impl Secure, answer: A, mut end: End)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    // Failing only costs time.
    let _ = stream.set_nodelay(true);
    let (stream, protocol) = match tokio::time::timeout(SECURE_LIMIT, secure.secure(stream)).await {
        Ok(Ok(secured)) => secured,
        // The caller's doing, as below.
        Ok(Err(error)) => return tracing::debug!(%error, %peer, "a connection could not be secured"),
        Err(_) => return tracing::debug!(%peer, "a connection was not secured in time"),
    };
    let first = Arc::new(First::default());
    let told = Arc::clone(&first);
    let service = service_fn(move |request| {
        told.tell();
        let answer = answer(request, peer);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let builder = speaking(protocol);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let early = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = end.time_to_leave(&first) => None,
    };
    let ended = match early {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // The caller's doing: it went away or spoke nonsense, and hyper has answered what can be answered.
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

fn speaking(protocol: Protocol) -> auto::Builder<TokioExecutor> {
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(HEAD_LIMIT);
    builder
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_runs_at_the_end_is_answered_and_nobody_else_is_heard() {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let (runs, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, waits) = (runs.clone(), go.clone());
        let listening = Listening::start(socket, Plain, move |_request, peer| {
            let (told, waits) = (told.clone(), waits.clone());
            async move {
                told.notify_one();
                waits.notified().await;
                Response::new(Full::new(bytes::Bytes::from(peer.port().to_string())))
            }
        });
        let mut running = TcpStream::connect(address).await.expect("a connection");
        running.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
        runs.notified().await;
        let stopping = tokio::spawn(listening.stop(Duration::from_secs(20)));
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        let mut answer = String::new();
        running.read_to_string(&mut answer).await.expect("the end");
        let port = running.local_addr().expect("an address").port().to_string();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&port), "{answer}");
        stopping.await.expect("stopped");
    }
}
