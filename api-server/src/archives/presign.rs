//! Presigned URLs: an HMAC-SHA256 over method, key, function, exact length and expiry.

use hmac::Mac as _;

use crate::{
    secrets::{Keys, MasterKey},
    store::hex,
};

/// What a URL is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Upload.
    Put,
    /// Download.
    Get,
}

/// What a URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    /// Upload or download.
    pub method: Method,
    /// Upload's id, or the archive's key.
    pub key: String,
    /// The function it is for.
    pub function_id: String,
    /// Exactly as many bytes.
    pub bytes: u64,
    /// Seconds since the Unix epoch.
    pub expires: i64,
}

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PresignError {
    /// A part is missing, changed, or the signature is not ours.
    #[error("the URL's signature does not match: use it exactly as it was given, in quotes")]
    Signature,
    /// Too late.
    #[error("the URL has expired: ask for a new one")]
    Expired,
}

const FUNCTION: &str = "X-Zipship-Function";
const LENGTH: &str = "X-Zipship-Length";
const EXPIRES: &str = "X-Zipship-Expires";
const SIGNATURE: &str = "X-Zipship-Signature";
/// Keys of a presigned URL's query.
pub const QUERY: [&str; 4] = [FUNCTION, LENGTH, EXPIRES, SIGNATURE];

/// Makes and checks presigned URLs. A URL outlives the rotation of its key: it is good until it ends, as long as this
/// process has held the key (`secrets::Keys`).
pub struct Presigner {
    keys: Keys,
}

impl Presigner {
    /// The presigner of a key file's keys.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        Self { keys: keys.clone() }
    }

    /// Path and query of the URL.
    #[must_use]
    pub fn path_and_query(&self, what: &Presigned) -> String {
        let signature = hex(&mac(&self.keys.current(), what).finalize().into_bytes());
        let Presigned { key, function_id, bytes, expires, .. } = what;
        format!(
            "/archives/{key}?{FUNCTION}={function_id}&{LENGTH}={bytes}&{EXPIRES}={expires}&{SIGNATURE}={signature}"
        )
    }

    /// What the URL says, when it is ours and not expired at `now` (seconds since the Unix epoch).
    ///
    /// # Errors
    /// [`PresignError`].
    pub fn check(
        &self,
        method: Method,
        key: &str,
        query: &[(String, String)],
        now: i64,
    ) -> Result<Presigned, PresignError> {
        let one = |name: &str| {
            let mut values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
            values.next().filter(|_| values.next().is_none()).ok_or(PresignError::Signature)
        };
        let what = Presigned {
            method,
            key: key.to_owned(),
            function_id: one(FUNCTION)?.to_owned(),
            bytes: one(LENGTH)?.parse().map_err(|_| PresignError::Signature)?,
            expires: one(EXPIRES)?.parse().map_err(|_| PresignError::Signature)?,
        };
        let given = unhex(one(SIGNATURE)?).ok_or(PresignError::Signature)?;
        // Compares in constant time; which of the keys it was is no secret.
        let is_of = |key: &MasterKey| mac(key, &what).verify_slice(&given).is_ok();
        self.keys.good().iter().any(|key| is_of(key)).then_some(()).ok_or(PresignError::Signature)?;
        if now >= what.expires { Err(PresignError::Expired) } else { Ok(what) }
    }
}

fn mac(key: &MasterKey, what: &Presigned) -> hmac::Hmac<sha2::Sha256> {
    let method = match what.method {
        Method::Put => "PUT",
        Method::Get => "GET",
    };
    let Presigned { key: path, function_id, bytes, expires, .. } = what;
    let mut mac = crate::secrets::hmac_of(&key.derive("zipship presigned archives v1"));
    // A NUL cannot be in any part, so no two texts read the same.
    mac.update(format!("{method}\0{path}\0{function_id}\0{bytes}\0{expires}").as_bytes());
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() != 64 {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(path: &str) -> Vec<(String, String)> {
        let (_, query) = path.split_once('?').unwrap();
        query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(k, v)| (k.into(), v.into()))
            .collect()
    }

    #[test]
    fn a_url_is_good_for_what_it_was_made_for_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let signer = Presigner::new(&Keys::load_or_create(&directory.path().join("key")).unwrap());
        let what = Presigned {
            method: Method::Put,
            key: "k".into(),
            function_id: "f".into(),
            bytes: 675,
            expires: 100,
        };
        let good = query(&signer.path_and_query(&what));
        assert_eq!(signer.check(Method::Put, "k", &good, 99), Ok(what));
        assert_eq!(signer.check(Method::Put, "k", &good, 100), Err(PresignError::Expired));
        assert_eq!(signer.check(Method::Get, "k", &good, 99), Err(PresignError::Signature));
        assert_eq!(signer.check(Method::Put, "other", &good, 99), Err(PresignError::Signature));
        for part in 0..good.len() {
            let mut changed = good.clone();
            changed[part].1.push('1');
            assert_eq!(signer.check(Method::Put, "k", &changed, 99), Err(PresignError::Signature), "{part}");
            let mut twice = good.clone();
            twice.push(good[part].clone());
            assert_eq!(signer.check(Method::Put, "k", &twice, 99), Err(PresignError::Signature), "{part}");
            let mut missing = good.clone();
            missing.remove(part);
            assert_eq!(signer.check(Method::Put, "k", &missing, 99), Err(PresignError::Signature), "{part}");
        }
    }
}
