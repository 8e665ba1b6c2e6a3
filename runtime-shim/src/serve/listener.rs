//! The listening socket: a port of our own, or one that was inherited.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::Listen;
use crate::init::spawn::{inherit, refuse_connections};

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

pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection, and the address of its other end where it has one.
pub(super) type Accepted = (Pin<Box<dyn Io>>, Option<IpAddr>);

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
            Self::Tcp(listener) => {
                listener.poll_accept(context).map_ok(|(stream, peer)| Self::tcp_connection(stream, peer))
            }
            Self::Unix(listener) => listener
                .poll_accept(context)
                .map_ok(|(stream, _)| (Box::pin(stream) as Pin<Box<dyn Io>>, None)),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        std::future::poll_fn(|context| self.poll_accept(context)).await
    }

    /// Lets nobody connect any more who has not begun to. Whoever has begun is still accepted, so that no caller
    /// loses a request when the socket is closed. `false` where the machine cannot.
    pub(super) fn refuse(&self) -> bool {
        match self {
            Self::Tcp(listener) => refuse_connections(listener.as_fd()).is_ok(),
            Self::Unix(_) => false,
        }
    }

    /// The connections that wait already. Asks the kernel itself: what the runtime knows of the socket may be of
    /// a moment ago. The socket is closed then.
    pub(super) fn close(self) -> Vec<Accepted> {
        let mut waiting = Vec::new();
        match self {
            Self::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else { return waiting };
                while let Ok((stream, peer)) = listener.accept() {
                    let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                    waiting.extend(stream.map(|stream| Self::tcp_connection(stream, peer)));
                }
            }
            Self::Unix(listener) => {
                let Ok(listener) = listener.into_std() else { return waiting };
                while let Ok((stream, _)) = listener.accept() {
                    let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
                    waiting.extend(stream.map(|stream| (Box::pin(stream) as Pin<Box<dyn Io>>, None)));
                }
            }
        }
        waiting
    }

    fn tcp_connection(stream: TcpStream, peer: SocketAddr) -> Accepted {
        // Without it small answers wait for the caller's acknowledgement; failing only costs time.
        let _ = stream.set_nodelay(true);
        (Box::pin(stream), Some(peer.ip()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_deaf_socket_hears_out_who_came_before_and_nobody_after() {
        let listener = Listener::open(Listen::Port(0)).expect("a port");
        let Listener::Tcp(socket) = &listener else { panic!("a TCP socket") };
        let port = socket.local_addr().expect("an address").port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut before = std::net::TcpStream::connect(address).expect("a connection");
        assert!(listener.refuse());
        let after = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100));
        assert_eq!(after.expect_err("nobody hears it").kind(), io::ErrorKind::TimedOut);
        let mut waiting = listener.close();
        assert_eq!(waiting.len(), 1);
        let (mut accepted, _) = waiting.pop().expect("the first one");
        before.write_all(b"heard").expect("written");
        let mut text = [0; 5];
        tokio::io::AsyncReadExt::read_exact(&mut accepted, &mut text).await.expect("read");
        assert_eq!(&text, b"heard");
        drop(accepted);
        assert_eq!(before.read(&mut text).expect("the end"), 0);
    }
}
