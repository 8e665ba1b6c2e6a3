//! A certificate and its key, as PEM files hold them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::validity::{Validity, validity};

/// A certificate that ends within this time is told.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// What two PEM files hold, and their names for messages.
#[derive(Debug, Clone)]
pub struct Pem {
    /// Name of the certificate's file.
    pub certificate_name: String,
    /// The certificate, then those that it was signed by.
    pub certificate: Vec<u8>,
    /// Name of the key's file.
    pub key_name: String,
    /// The private key.
    pub key: SecretSlice<u8>,
}

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// No certificate in its file.
    #[error("{0} holds no certificate: a line -----BEGIN CERTIFICATE----- is missing")]
    NoCertificate(String),
    /// No key in its file.
    #[error(
        "{0} holds no private key: a line -----BEGIN PRIVATE KEY----- (or RSA or EC PRIVATE KEY) is missing{1}"
    )]
    NoKey(String, &'static str),
    /// The file is broken.
    #[error("{0} is no PEM file that can be read: {1}")]
    Malformed(String, String),
    /// A kind of key that nobody verifies.
    #[error("the key in {0} can't be used: {1}")]
    Key(String, String),
    /// Certificate and key are of two pairs.
    #[error(
        "the key in {key} does not fit the certificate in {certificate}: they are of two different pairs"
    )]
    Mismatch {
        /// Name of the certificate's file.
        certificate: String,
        /// Name of the key's file.
        key: String,
    },
    /// Something else.
    #[error("TLS can't be used: {0}")]
    Unusable(String),
}

impl Pem {
    /// Whether nothing has changed.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.key.expose_secret() == other.key.expose_secret()
    }

    /// Both, checked against each other.
    pub(super) fn certified(&self) -> Result<CertifiedKey, CertificateError> {
        let chain = self.chain()?;
        let key =
            PrivateKeyDer::from_pem_slice(self.key.expose_secret()).map_err(|error| self.no_key(&error))?;
        let key = aws_lc_rs::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| CertificateError::Key(self.key_name.clone(), error.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch {
                certificate: self.certificate_name.clone(),
                key: self.key_name.clone(),
            }),
            Err(error) => Err(CertificateError::Malformed(self.certificate_name.clone(), error.to_string())),
        }
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain
            .map_err(|error| CertificateError::Malformed(self.certificate_name.clone(), error.to_string()))?;
        match chain.is_empty() {
            true => Err(CertificateError::NoCertificate(self.certificate_name.clone())),
            false => Ok(chain),
        }
    }

    fn no_key(&self, error: &pem::Error) -> CertificateError {
        let name = self.key_name.clone();
        let text = String::from_utf8_lossy(self.key.expose_secret());
        match error {
            pem::Error::NoItemsFound if text.contains("ENCRYPTED") => CertificateError::NoKey(
                name,
                "; the one that is there is encrypted, and nobody could be asked for its password",
            ),
            pem::Error::NoItemsFound => CertificateError::NoKey(name, ""),
            // Not the error's own text: what it quotes may be of the key.
            _ => CertificateError::Malformed(name, "a line is broken".to_owned()),
        }
    }

    /// Tells in the log when the certificate is not good now, or not for long. It is used nevertheless: callers decide.
    pub(super) fn remind(&self) {
        let leaf = self.chain().ok().and_then(|chain| chain.into_iter().next());
        let Some(Validity { from, until }) = leaf.and_then(|leaf| validity(&leaf)) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let soon = i64::try_from(SOON.as_secs()).unwrap_or(i64::MAX);
        let (file, text) = (&self.certificate_name, |second| {
            Timestamp::from_second(second).map_or_else(|_| "?".to_owned(), |at| at.to_string())
        });
        if until < now {
            tracing::warn!(file, ended = text(until), "the certificate has expired: clients will refuse it");
        } else if from > now {
            tracing::warn!(
                file,
                begins = text(from),
                "the certificate is not valid yet: clients will refuse it"
            );
        } else if until - now < soon {
            tracing::warn!(file, ends = text(until), "the certificate expires soon");
        }
    }
}
