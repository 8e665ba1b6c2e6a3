//! The registry client.
//!
//! A push is: (the previous version's manifest) → each layer by mount or upload → configuration → manifest.
//! Around every request stand, from the outside in: retries ([`Retry`]), challenges and tokens, redirects.
//! Credentials are shown to the registry itself and to the token service that it names, and to nobody else:
//! not across a redirect, not to an upload session on another host.
//!
//! The client keeps tokens and connections: make one and keep it. Its credentials are for every registry it
//! is used with, so use one client a registry when they differ.

mod attach;
mod auth;
mod body;
mod browse;
mod challenge;
mod credentials;
mod error;
mod exchange;
pub mod guard;
mod keychain;
mod location;
mod patience;
pub(crate) mod probe;
mod progress;
mod pull;
mod push;
mod push_index;
mod retry;
mod session;
mod sources;
mod transport;
mod upload;

pub use attach::{Attached, Listed};
use auth::Auth;
pub use browse::Cleaned;
pub use credentials::Credentials;
pub use error::ClientError;
pub use guard::Guard;
pub use keychain::{Keychain, KeychainError};
pub use progress::{Arrival, Progress};
pub use push::{Push, Pushed};
pub use retry::Retry;
use transport::Transport;

/// How a client behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who it is.
    pub credentials: Credentials,
    /// Speak HTTP without TLS.
    pub plain_http: bool,
    /// Certificates (PEM) of authorities that are believed beside the system's.
    pub authorities: Vec<Vec<u8>>,
    /// How patient it is.
    pub retry: Retry,
    /// Where it may be sent; without a guard, anywhere.
    pub guard: Option<Guard>,
}

/// A client of registries. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Client {
    options: Options,
    http: Transport,
    auth: Auth,
}

impl Client {
    /// A client with these options. Fails when TLS cannot be set up.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        let http = Transport::new(&options)?;
        Ok(Self { auth: Auth::new(options.credentials.clone()), options, http })
    }
}
