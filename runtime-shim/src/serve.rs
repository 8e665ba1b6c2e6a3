//! The listening socket and its connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::config::Listen;
use crate::init::logs::Level;
use crate::init::signals::Stop;
use crate::init::spawn::inherit;
use crate::request::forwarded::Peer;
use crate::request::{Shim, handle};

/// How long a caller may take to send a head, the wait between two requests included. The gateway may take
/// all its time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Beyond the limit of our own 431, which is told with a reason, hyper's comes without one.
const HEAD_SPARE: usize = 64 << 10;
/// Most headers of one request.
const MAX_HEADERS: usize = 1000;
/// After an error of `accept` that the next attempt would meet too (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A port of all interfaces, bound and non-blocking.
///
/// Fails when it is taken.
pub(crate) fn bind_all(port: u16) -> io::Result<std::net::TcpListener> {
    let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    // Machines without IPv6 have IPv4 alone.
    let bound = std::net::TcpListener::bind(every)
        .or_else(|_| std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
    bound.set_nonblocking(true)?;
    Ok(bound)
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Accepted = (Pin<Box<dyn Io>>, Option<IpAddr>);

impl Listener {
    /// Binds the port, or takes over the inherited socket. Connections wait in it until they are accepted.
    ///
    /// Fails when the port is taken or the descriptor is no listening socket.
    pub(crate) fn open(listen: Listen) -> io::Result<Self> {
        match listen {
            Listen::Port(port) => TcpListener::from_std(bind_all(port)?).map(Self::Tcp),
            Listen::Inherited(descriptor) => Self::inherited(inherit(descriptor)?),
        }
    }

    fn tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    fn inherited(socket: OwnedFd) -> io::Result<Self> {
        let unix = std::os::unix::net::UnixListener::from(socket);
        // `local_addr` fails for every other kind of socket.
        if unix.local_addr().is_ok() {
            unix.set_nonblocking(true)?;
            return UnixListener::from_std(unix).map(Self::Unix);
        }
        let tcp = std::net::TcpListener::from(OwnedFd::from(unix));
        tcp.local_addr()?;
        Self::tcp(tcp)
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(context).map_ok(|(stream, peer)| {
                // Without it small answers wait for the caller's acknowledgement; failing only costs time.
                let _ = stream.set_nodelay(true);
                (Box::pin(stream) as Pin<Box<dyn Io>>, Some(peer.ip()))
            }),
            Self::Unix(listener) => listener
                .poll_accept(context)
                .map_ok(|(stream, _)| (Box::pin(stream) as Pin<Box<dyn Io>>, None)),
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        std::future::poll_fn(|context| self.poll_accept(context)).await
    }

    /// A connection that waits already, if there is one.
    async fn accept_waiting(&self) -> Option<Accepted> {
        std::future::poll_fn(|context| match self.poll_accept(context) {
            Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

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
            () = stop.next() => break,
        }
    }
    while let Some(accepted) = listener.accept_waiting().await {
        connect(&shim, &builder, listen, accepted, &connections);
    }
    connections
}

fn builder(shim: &Shim, listen: Listen) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let head_timeout = (!listen.is_inherited()).then_some(HEAD_TIMEOUT);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(shim.limits.headers.saturating_add(HEAD_SPARE));
    let header_list = u32::try_from(shim.limits.headers + HEAD_SPARE).unwrap_or(u32::MAX);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(header_list);
    builder
}

fn connect(
    shim: &Arc<Shim>,
    builder: &Builder<TokioExecutor>,
    listen: Listen,
    (stream, address): Accepted,
    connections: &GracefulShutdown,
) {
    let peer = match (listen, address) {
        (Listen::Port(_), Some(address)) => Peer::Address(address),
        (_, address) => Peer::Gateway(address),
    };
    let shim = shim.clone();
    let service = service_fn(move |request| {
        let shim = shim.clone();
        async move { Ok::<_, Infallible>(handle(shim, peer, request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = connections.watch(connection);
    // Errors are the caller's: it went away or spoke nonsense, and hyper has answered what can be answered.
    tokio::spawn(async move { drop(watched.await) });
}
