//! The sockets that the server listens on: one for all callers; with TLS one more on loopback for its own calls (the
//! probe, the registry's client), which then need to believe no certificate; and the operator's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use futures_util::future::join_all;
use gateway::{Listening, Plain};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    ServeError, failed,
    listener::{self, Front},
    tls::{Tls, TlsSource},
};
use crate::Config;

/// Bound, and not yet answering.
pub(super) struct Sockets {
    public: TcpListener,
    tls: Option<(Tls, TcpListener)>,
    metrics: Option<TcpListener>,
    /// How this process reaches itself, without TLS.
    pub(super) own: SocketAddr,
}

/// Answering.
pub(super) struct Listeners {
    all: Vec<Listening>,
    certificate: Option<JoinHandle<()>>,
}

impl Sockets {
    /// Writes the address that was bound to `config`.
    pub(super) async fn bind(
        config: &mut Config,
        tls: Option<TlsSource>,
        metrics: Option<SocketAddr>,
    ) -> Result<Self, ServeError> {
        let public = bind(config.listen).await?;
        config.listen = public.local_addr().map_err(failed("the listening address"))?;
        let tls = match tls {
            Some(source) => {
                let tls = Tls::open(source).await.map_err(failed("TLS"))?;
                Some((tls, bind((Ipv4Addr::LOCALHOST, 0).into()).await?))
            }
            None => None,
        };
        let metrics = match metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        if let Some(address) = metrics.as_ref().and_then(|socket| socket.local_addr().ok()) {
            tracing::info!(%address, "metrics are served");
        }
        let own = match &tls {
            Some((_, plain)) => plain.local_addr().map_err(failed("a listening address"))?,
            None => own_address(config.listen),
        };
        Ok(Self { public, tls, metrics, own })
    }

    /// Answers from now on; `page` on the operator's address.
    pub(super) fn listen(self, front: Front, page: Router) -> Listeners {
        let front = Arc::new(front);
        let mut listeners = match self.tls {
            Some((tls, plain)) => {
                let public = listener::listen(self.public, tls.acceptor(), Arc::clone(&front));
                let own = listener::listen(plain, Plain, front);
                Listeners { all: vec![public, own], certificate: Some(tokio::spawn(tls.follow())) }
            }
            None => Listeners { all: vec![listener::listen(self.public, Plain, front)], certificate: None },
        };
        listeners.all.extend(self.metrics.map(|socket| listener::listen_apart(socket, page)));
        listeners
    }
}

impl Listeners {
    /// No new connections; requests that run may finish within `limit`.
    pub(super) async fn stop(self, limit: Duration) {
        if let Some(certificate) = self.certificate {
            certificate.abort();
        }
        join_all(self.all.into_iter().map(|listening| listening.stop(limit))).await;
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| ServeError::Bind(address, error))
}

/// How this process reaches its own listener.
pub(super) fn own_address(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(address) if address.ip().is_unspecified() => ([127, 0, 0, 1], address.port()).into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, address.port()).into()
        }
        address => address,
    }
}
