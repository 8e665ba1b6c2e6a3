//! RSA-2048 key pairs. The public one is PKCS#1 PEM, as user containers parse it.

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::KeyPair as _,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    AppState,
    store::{StoreError, persist},
};

/// A key pair as PEM.
pub struct KeyPair {
    /// `BEGIN RSA PUBLIC KEY` (PKCS#1).
    pub public: String,
    /// `BEGIN PRIVATE KEY` (PKCS#8).
    pub private: SecretString,
}

impl KeyPair {
    /// A new pair. Takes tens of milliseconds of CPU; `None` when the system gives no randomness.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).ok()?;
        let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        Some(Self {
            public: pem("RSA PUBLIC KEY", pair.public_key().as_ref()),
            private: SecretString::from(pem("PRIVATE KEY", private.as_ref())),
        })
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for at in (0..text.len()).step_by(64) {
        pem.push_str(&text[at..text.len().min(at + 64)]);
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// Makes the key pair of a namespace that is `creating`, in the background; it is `ready` then.
pub fn spawn_key_pair(state: &AppState, namespace_id: String) {
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(error) = make(&state, &namespace_id).await {
            tracing::error!(namespace.id = %namespace_id, %error, "a namespace could not be made");
        }
        state.namespace_settled.notify_waiters();
    });
}

async fn make(state: &AppState, id: &str) -> Result<(), StoreError> {
    match tokio::task::spawn_blocking(KeyPair::generate).await {
        Ok(Some(pair)) => {
            let private = pair.private.expose_secret().as_bytes();
            persist(|| state.store.namespace_ready(id, &pair.public, private)).await
        }
        _ => persist(|| state.store.namespace_failed(id, "no key pair could be made")).await,
    }
}
