//! Signing of tokens: RS256, one claim.

use contract::token::{ApplicationClaim, Claims};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};

use crate::store::new_id;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Every application of a namespace.
    Namespace(String),
    /// One application.
    Application {
        /// Its namespace.
        namespace_id: String,
        /// Its id.
        application_id: String,
    },
}

/// Why no token was signed.
#[derive(Debug, thiserror::Error)]
#[error("the namespace's key does not sign: {0}")]
pub struct IssueError(#[from] jsonwebtoken::errors::Error);

/// A token. Times are seconds since the Unix epoch; without `expires` it is good until the namespace is deleted.
///
/// # Errors
/// [`IssueError`] when the key is no RSA key.
pub fn issue(
    key: &SecretString,
    subject: Subject,
    now: i64,
    expires: Option<i64>,
) -> Result<String, IssueError> {
    let (sub, claim) = match subject {
        Subject::Namespace(id) => {
            (id.clone(), ApplicationClaim { namespace_id: Some(id), application_id: None })
        }
        Subject::Application { namespace_id, application_id } => (
            application_id.clone(),
            ApplicationClaim { namespace_id: Some(namespace_id), application_id: Some(application_id) },
        ),
    };
    let claims = Claims {
        iss: "zipship".to_owned(),
        sub,
        aud: "functions".to_owned(),
        iat: now,
        nbf: now,
        exp: expires,
        jti: new_id(),
        application_claim: vec![claim],
    };
    let key = EncodingKey::from_rsa_pem(key.expose_secret().as_bytes())?;
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)?)
}
