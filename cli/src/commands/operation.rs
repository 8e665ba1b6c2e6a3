//! Settings of `serve` for whoever keeps it running: TLS, rates, the end.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use api_server::{
    rate::{Rate, Rates},
    serve::tls::{self, Pem},
};
use clap::Args;
use runner::local::CertificateFiles;

/// TLS, rates, the end.
#[derive(Debug, Args)]
pub(crate) struct Operation {
    /// Speak TLS (HTTP/1.1 and HTTP/2) with this certificate: a PEM file with the certificate first, then those that it
    /// was signed by. A new one is noticed within half a minute, or at SIGHUP.
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, a PEM file; read by root.
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Requests a second that one API key may make, on average; 0 is no limit.
    #[arg(long, default_value_t = Rates::default().key.per_second, value_name = "NUMBER")]
    key_rate: u32,
    /// Requests that one API key may make at once before --key-rate counts.
    #[arg(long, default_value_t = Rates::default().key.burst, value_name = "NUMBER")]
    key_burst: u32,
    /// Requests a second without a good API key that may come from one address, on average; 0 is no limit.
    #[arg(long, default_value_t = Rates::default().address.per_second, value_name = "NUMBER")]
    address_rate: u32,
    /// Such requests at once before --address-rate counts.
    #[arg(long, default_value_t = Rates::default().address.burst, value_name = "NUMBER")]
    address_burst: u32,
    /// An address of its own for /metrics, in plain HTTP and open to whoever reaches it; /healthz and /readyz are there
    /// too.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// At the end requests are taken for so many milliseconds more, while /readyz answers 503 and each answer closes its
    /// connection, so that callers find another server or the next one; then what runs is finished.
    #[arg(long, default_value_t = 1000, value_name = "MILLISECONDS")]
    drain: u64,
}

impl Operation {
    /// How many requests are answered.
    pub(crate) fn rates(&self) -> Rates {
        Rates {
            key: Rate { per_second: self.key_rate, burst: self.key_burst },
            address: Rate { per_second: self.address_rate, burst: self.address_burst },
        }
    }

    /// For how long the end is put off.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain)
    }

    /// Certificate and key, by absolute names: links among them are followed at each look.
    pub(crate) fn certificate(&self) -> anyhow::Result<Option<CertificateFiles>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let absolute = |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
        Ok(Some(CertificateFiles { certificate: absolute(certificate)?, key: absolute(key)? }))
    }

    /// Refuses a certificate that a server could not use, before one is started.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let Some(CertificateFiles { certificate, key }) = self.certificate()? else { return Ok(()) };
        let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
        let pem = Pem {
            certificate: read(&certificate)?,
            key: read(&key)?.into(),
            certificate_name: certificate.display().to_string(),
            key_name: key.display().to_string(),
        };
        Ok(tls::check(&pem)?)
    }
}
