//! Who a local function is: made-up ids, and for private ones a key pair and tokens signed with it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use api_server::tokens::{self, KeyPair, Subject};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The namespace of a local run.
pub(crate) struct Namespace {
    pub(crate) id: String,
    keys: Option<KeyPair>,
}

impl Namespace {
    /// A namespace of this run; with keys when one of its functions is private.
    pub(crate) fn new(with_keys: bool) -> anyhow::Result<Self> {
        let keys = with_keys
            .then(|| KeyPair::generate().context("no key pair: the system gives no randomness"))
            .transpose()?;
        Ok(Self { id: new_id(), keys })
    }

    /// PKCS#1 PEM.
    pub(crate) fn public_key(&self) -> Option<&str> {
        self.keys.as_ref().map(|keys| keys.public.as_str())
    }

    /// A token for one application, without an end: its key lives as long as this run.
    pub(crate) fn token(&self, application_id: &str) -> anyhow::Result<String> {
        let keys = self.keys.as_ref().context("the namespace has no keys")?;
        let subject =
            Subject::Application { namespace_id: self.id.clone(), application_id: application_id.to_owned() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        Ok(tokens::issue(&keys.private, subject, i64::try_from(now.as_secs())?, None)?)
    }
}

/// A UUID v4, as the platform's ids are.
pub(crate) fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// The claims in a token that was signed here, as JSON text.
pub(crate) fn claims(token: &str) -> String {
    let part = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    part.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use contract::token::{Claims, admit};

    use super::*;

    #[test]
    fn a_token_admits_to_its_application_only() {
        let namespace = Namespace::new(true).unwrap();
        let id = new_id();
        let claims: Claims = serde_json::from_str(&claims(&namespace.token(&id).unwrap())).unwrap();
        assert_eq!(admit(&claims.application_claim, &namespace.id, &id), Ok(()));
        assert!(admit(&claims.application_claim, &namespace.id, &new_id()).is_err());
        assert!(namespace.public_key().unwrap().starts_with("-----BEGIN RSA PUBLIC KEY-----"));
        assert!(Namespace::new(false).unwrap().token(&id).is_err());
    }
}
