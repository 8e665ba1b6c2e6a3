//! Claims of a private application's token, and which of them admit a request (`docs/runtime.md`).
//!
//! The signature is checked by whoever holds the key; this module judges claims that are already proven.

use serde::{Deserialize, Serialize};

/// What the token is good for. One of the two ids may be absent; both absent is no usable claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationClaim {
    /// Id of the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// Id of the function or container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
}

/// The claims of a token as the API issues it. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Subject: the id the token was asked for.
    pub sub: String,
    /// Audience, a string.
    pub aud: String,
    /// Issued at.
    pub iat: i64,
    /// Not valid before.
    pub nbf: i64,
    /// Not valid after, when a date was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Unique id of the token.
    pub jti: String,
    /// Exactly one element.
    pub application_claim: Vec<ApplicationClaim>,
}

/// Why good signature and good dates do not admit the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefusal {
    /// `application_claim` has not exactly one element, or that element names nothing.
    #[error("the token's application_claim names no application and no namespace")]
    Unusable,
    /// An id of the claim is another application's or another namespace's.
    #[error("the token is for another application or namespace")]
    Other,
}

/// Admits when every id that the single claim names is this one's.
///
/// # Errors
/// [`ClaimRefusal`] otherwise. Empty ids never match.
pub fn admit(
    claims: &[ApplicationClaim],
    namespace_id: &str,
    application_id: &str,
) -> Result<(), ClaimRefusal> {
    let [claim] = claims else { return Err(ClaimRefusal::Unusable) };
    let named = |id: &Option<String>| id.as_deref().filter(|id| !id.is_empty()).map(str::to_owned);
    match (named(&claim.namespace_id), named(&claim.application_id)) {
        (None, None) => Err(ClaimRefusal::Unusable),
        (namespace, application) => {
            let fits = |id: Option<String>, own: &str| id.is_none_or(|id| !own.is_empty() && id == own);
            if fits(namespace, namespace_id) && fits(application, application_id) {
                Ok(())
            } else {
                Err(ClaimRefusal::Other)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(namespace: Option<&str>, application: Option<&str>) -> Vec<ApplicationClaim> {
        vec![ApplicationClaim {
            namespace_id: namespace.map(Into::into),
            application_id: application.map(Into::into),
        }]
    }

    #[test]
    fn every_id_named_must_be_this_ones() {
        for good in [claim(Some("n"), None), claim(None, Some("a")), claim(Some("n"), Some("a"))] {
            assert_eq!(admit(&good, "n", "a"), Ok(()), "{good:?}");
        }
        for other in [
            claim(Some("x"), None),
            claim(None, Some("x")),
            claim(Some("n"), Some("x")),
            claim(Some("x"), Some("a")),
        ] {
            assert_eq!(admit(&other, "n", "a"), Err(ClaimRefusal::Other), "{other:?}");
        }
    }

    #[test]
    fn empty_absent_or_several_claims_admit_nothing() {
        let twice = [claim(Some("n"), None), claim(Some("n"), None)].concat();
        for unusable in [claim(None, None), claim(Some(""), Some("")), vec![], twice] {
            assert_eq!(admit(&unusable, "n", "a"), Err(ClaimRefusal::Unusable), "{unusable:?}");
        }
        assert_eq!(admit(&claim(Some("n"), None), "", ""), Err(ClaimRefusal::Other));
    }
}
