//! The registry client.
//!
//! A push is: (the previous version's manifest) → each layer by mount or upload → configuration → manifest.
//! Around every request stand, from the outside in: retries ([`Retry`]), challenges and tokens, redirects.
//! Credentials are shown to the registry itself and to the token service that it names, and to nobody else:
//! not across a redirect, not to an upload session on another host.
//!
//! The client keeps tokens and connections: make one and keep it. Its credentials are for every registry it
//! is used with, so use one client a registry when they differ.

mod auth;
mod body;
mod challenge;
mod credentials;
mod error;
mod exchange;
mod keychain;
mod location;
mod pull;
mod push;
mod push_index;
mod retry;
mod upload;

use std::time::Duration;

use auth::Auth;
pub use credentials::Credentials;
pub use error::ClientError;
pub use keychain::{Keychain, KeychainError};
pub use push::Pushed;
pub use retry::Retry;

/// How a client behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who it is.
    pub credentials: Credentials,
    /// Speak HTTP without TLS, and without the proxies of the environment: for a registry on this machine.
    pub plain_http: bool,
    /// Certificates (PEM) of authorities that are believed beside the system's.
    pub authorities: Vec<Vec<u8>>,
    /// How patient it is.
    pub retry: Retry,
}

/// A client of registries. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Client {
    options: Options,
    http: reqwest::Client,
    auth: Auth,
}

impl Client {
    /// A client with these options. Fails when TLS cannot be set up.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("zipship/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // Redirects are followed by `exchange`, which knows what may be shown to whom.
            .redirect(reqwest::redirect::Policy::none());
        if options.plain_http {
            builder = builder.no_proxy();
        }
        let setup = |error: reqwest::Error| ClientError::Setup(error.to_string());
        for pem in &options.authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(setup)?;
        Ok(Self { auth: Auth::new(options.credentials.clone()), options, http })
    }
}
