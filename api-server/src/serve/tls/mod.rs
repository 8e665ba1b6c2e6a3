//! TLS on the one listener, with a certificate that may be replaced while connections go on.

mod certificate;
mod validity;

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use gateway::{Protocol, Secure};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{net::TcpStream, sync::Notify, time::Instant};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use certificate::{CertificateError, Pem};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How often one is told that a certificate has ended or soon will.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 3600);
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Where certificate and key are from.
pub trait CertificateSource: Send + Sync {
    /// What the files hold now.
    fn read(&self) -> BoxFuture<'_, Result<Pem, CertificateError>>;
}

/// What the server needs for TLS.
#[derive(Clone)]
pub struct TlsSource {
    /// Certificate and key.
    pub source: Arc<dyn CertificateSource>,
    /// Rings when the files are to be looked at now.
    pub look: Arc<Notify>,
}

/// Refuses a certificate and key that a server could not use.
///
/// # Errors
/// [`CertificateError`].
pub fn check(pem: &Pem) -> Result<(), CertificateError> {
    pem.certified().map(drop)
}

/// TLS as the listener speaks it.
pub(super) struct Tls {
    from: TlsSource,
    read: Pem,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// The certificate of new connections.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    pub(super) async fn open(from: TlsSource) -> Result<Self, CertificateError> {
        let read = from.source.read().await?;
        let current = Arc::new(Current(ArcSwap::from_pointee(read.certified()?)));
        read.remind();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Unusable(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(Self { from, read, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// What secures the listener's connections.
    pub(super) fn acceptor(&self) -> Acceptor {
        Acceptor(self.acceptor.clone())
    }

    /// Looks at the files again and again until dropped. New connections get what is new; what can't be used is told,
    /// and the old one stays.
    pub(super) async fn follow(mut self) {
        let mut reminded = Instant::now();
        let mut refused = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.from.look.notified() => refused = None,
            }
            match self.look().await {
                Ok(Seen::Same) if reminded.elapsed() < REMIND_EVERY => {}
                Ok(seen) => {
                    if matches!(seen, Seen::New) {
                        tracing::info!("the certificate was replaced: new connections get the new one");
                    }
                    self.read.remind();
                    (reminded, refused) = (Instant::now(), None);
                }
                Err(error) => {
                    // Once, not at each look.
                    let text = error.to_string();
                    if refused.as_ref() != Some(&text) {
                        tracing::error!(error = text, "the new certificate can't be used; the old one stays");
                        refused = Some(text);
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Seen, CertificateError> {
        let now = self.from.source.read().await?;
        if now.is_same(&self.read) {
            return Ok(Seen::Same);
        }
        self.current.0.store(Arc::new(now.certified()?));
        self.read = now;
        Ok(Seen::New)
    }
}

enum Seen {
    Same,
    New,
}

/// Secures connections with TLS; HTTP/2 for whoever offers it.
#[derive(Clone)]
pub(super) struct Acceptor(TlsAcceptor);

impl Secure for Acceptor {
    type Io = TlsStream<TcpStream>;

    async fn secure(&self, stream: TcpStream) -> io::Result<(Self::Io, Protocol)> {
        let stream = self.0.accept(stream).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(HTTP2) => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((stream, protocol))
    }
}
