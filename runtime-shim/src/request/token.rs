//! Step 2: the token of a private function. No user code runs for a request that does not pass.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use contract::event::TOKEN_HEADERS;
use contract::token::{ApplicationClaim, admit};
use hyper::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use super::answer::Refusal;
use super::clock::epoch_ms;
use crate::config::Access;

/// Longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 8 << 10;
/// How far clocks may differ, in seconds; for `nbf` and `iat` only, never for `exp`.
const LEEWAY: f64 = 60.0;
/// Tokens whose verdict is kept; all are forgotten when there are more.
const CACHE: usize = 1024;

/// The check, as the configuration wants it.
pub(crate) enum Guard {
    Open,
    Closed(Box<Closed>),
}

pub(crate) struct Closed {
    key: DecodingKey,
    namespace_id: String,
    application_id: String,
    /// Good tokens only, by SHA-256.
    passed: Mutex<HashMap<[u8; 32], Passed>>,
}

/// Claims of a good token, and its end in seconds since the epoch.
type Passed = (Arc<Value>, f64);

impl Guard {
    pub(crate) fn new(access: Access) -> Self {
        match access {
            Access::Public => Self::Open,
            Access::Private { key, namespace_id, application_id } => Self::Closed(Box::new(Closed {
                key: key.0,
                namespace_id,
                application_id,
                passed: Mutex::default(),
            })),
        }
    }

    /// Passes with the verified claims (`None` for a public function), and takes the token out of the headers.
    pub(crate) fn check(&self, headers: &mut HeaderMap, now: SystemTime) -> Result<Option<Value>, Refusal> {
        let Self::Closed(closed) = self else { return Ok(None) };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit a double exactly")]
        let now = epoch_ms(now) as f64 / 1000.0;
        let claims = closed.verdict(&deciding(headers)?, now)?;
        strip(headers);
        Ok(Some(Value::clone(&claims)))
    }
}

/// The value of the first token header that is present; an empty one counts as absent.
fn deciding(headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    for name in TOKEN_HEADERS {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => return Err(unauthorized(format!("{name} is given more than once"))),
            (Some(value), None) if !value.is_empty() => return Ok(value.as_bytes().to_vec()),
            _ => {}
        }
    }
    Err(Refusal::empty(StatusCode::NOT_FOUND, "Token.Missing"))
}

/// Removes both SCW headers, and `X-Auth-Token` when it decided.
fn strip(headers: &mut HeaderMap) {
    let [first, second, last] = TOKEN_HEADERS;
    let filled = |headers: &HeaderMap, name| headers.get(name).is_some_and(|v| !v.is_empty());
    if !filled(headers, first) && !filled(headers, second) {
        headers.remove(last);
    }
    headers.remove(first);
    headers.remove(second);
}

fn unauthorized(reason: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Token.Invalid", reason)
}

impl Closed {
    fn verdict(&self, token: &[u8], now: f64) -> Result<Arc<Value>, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(unauthorized(format!("the token is longer than {LONGEST_TOKEN} bytes")));
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, token);
        let key: [u8; 32] = digest.as_ref().try_into().unwrap_or_default();
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((claims, _)) = passed.get(&key).filter(|(_, end)| now < *end) {
            return Ok(claims.clone());
        }
        let (claims, end) = self.judge(token, now)?;
        let claims = Arc::new(claims);
        if passed.len() >= CACHE {
            passed.clear();
        }
        passed.insert(key, (claims.clone(), end));
        Ok(claims)
    }

    /// The claims and the second at which the token ends.
    fn judge(&self, token: &[u8], now: f64) -> Result<(Value, f64), Refusal> {
        let mut rules = Validation::new(Algorithm::RS256);
        // Dates are judged below: leeway for `exp` is not wanted, for `nbf` and `iat` it is.
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_aud = false;
        let decoded = jsonwebtoken::decode::<Value>(token, &self.key, &rules)
            .map_err(|error| unauthorized(format!("the token is not valid: {error}")))?;
        let end = dates(&decoded.claims, now).map_err(unauthorized)?;
        let forbidden = |reason: String| Refusal::new(StatusCode::FORBIDDEN, "Token.Forbidden", reason);
        let unusable = || forbidden(contract::token::ClaimRefusal::Unusable.to_string());
        let claim = decoded.claims.get("application_claim").cloned().ok_or_else(unusable)?;
        let claim: Vec<ApplicationClaim> = serde_json::from_value(claim).map_err(|_| unusable())?;
        admit(&claim, &self.namespace_id, &self.application_id)
            .map_err(|refusal| forbidden(refusal.to_string()))?;
        Ok((decoded.claims, end))
    }
}

/// When the token ends (infinity without `exp`), or why it is not valid at `now`. Seconds since the epoch.
fn dates(claims: &Value, now: f64) -> Result<f64, String> {
    let date = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|date| (0.0..1e12).contains(date)) {
            Some(date) => Ok(Some(date)),
            None => Err(format!("{name} is no date")),
        },
    };
    for name in ["nbf", "iat"] {
        if date(name)?.is_some_and(|date| date > now + LEEWAY) {
            return Err(format!("the token is not valid yet ({name})"));
        }
    }
    match date("exp")? {
        Some(end) if end <= now => Err("the token has expired".to_owned()),
        Some(end) => Ok(end),
        None => Ok(f64::INFINITY),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_are_judged_with_leeway_for_the_start_only() {
        for (claims, expected) in [
            (json!({}), Ok(f64::INFINITY)),
            (json!({"exp": 101}), Ok(101.0)),
            (json!({"nbf": 160, "iat": 160, "exp": 1000}), Ok(1000.0)),
        ] {
            assert_eq!(dates(&claims, 100.0), expected, "{claims}");
        }
        for claims in [
            json!({"exp": 100}),
            json!({"nbf": 161}),
            json!({"iat": 161}),
            json!({"exp": "tomorrow"}),
            json!({"exp": 1e300}),
            json!({"exp": -1}),
        ] {
            assert!(dates(&claims, 100.0).is_err(), "{claims}");
        }
    }

    #[test]
    fn the_first_header_that_is_present_decides_and_only_it_is_taken_out() {
        let build = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().expect("value"));
            }
            headers
        };
        let mut all =
            build(&[("x-auth-token", "c"), ("scw_functions_token", "b"), ("scw-functions-token", "")]);
        assert_eq!(deciding(&all).map_err(|r| r.status), Ok(b"b".to_vec()));
        strip(&mut all);
        assert_eq!(all.keys().map(|k| k.as_str()).collect::<Vec<_>>(), ["x-auth-token"]);
        let mut last = build(&[("x-auth-token", "c"), ("scw-functions-token", "")]);
        assert_eq!(deciding(&last).map_err(|r| r.status), Ok(b"c".to_vec()));
        strip(&mut last);
        assert!(last.is_empty());
        let twice = build(&[("x-auth-token", "c"), ("x-auth-token", "c")]);
        assert_eq!(deciding(&twice).map_err(|r| r.status), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(deciding(&build(&[])).map_err(|r| r.status), Err(StatusCode::NOT_FOUND));
    }
}
