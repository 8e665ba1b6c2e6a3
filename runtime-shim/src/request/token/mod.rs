//! Step 2: the token of a private function. No user code runs for a request that does not pass.
//!
//! `compact` proves who wrote a token, `claims` judges what it says, `verdicts` remembers the good ones.

mod claims;
mod compact;
mod json;
pub(crate) mod key;
pub(crate) mod probe;
mod signature;
mod verdicts;

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use contract::event::TOKEN_HEADERS;
use hyper::header::HeaderName;
use hyper::{HeaderMap, StatusCode};

pub(crate) use self::claims::Claims;
use self::claims::{Owner, Refused};
use self::key::Keys;
use self::verdicts::Verdicts;
use super::answer::Refusal;
use super::clock::epoch_ms;
use crate::config::Access;

/// In the order in which the first present decides.
static NAMES: [HeaderName; 3] = [
    HeaderName::from_static(TOKEN_HEADERS[0]),
    HeaderName::from_static(TOKEN_HEADERS[1]),
    HeaderName::from_static(TOKEN_HEADERS[2]),
];
/// Where `X-Auth-Token` stands: the one that is kept when it did not decide.
const LAST: usize = 2;

/// The check, as the configuration wants it.
pub(crate) enum Guard {
    Open,
    Closed(Box<Closed>),
}

pub(crate) struct Closed {
    keys: Keys,
    owner: Owner,
    passed: Mutex<Verdicts>,
}

impl Guard {
    pub(crate) fn new(access: Access) -> Self {
        match access {
            Access::Public => Self::Open,
            Access::Private { keys, namespace_id, application_id } => {
                Self::Closed(Box::new(Closed::new(keys, Owner { namespace_id, application_id })))
            }
        }
    }

    /// Passes with the verified claims (`None` for a public function), and takes the token out of the headers.
    pub(crate) fn check(&self, headers: &mut HeaderMap, now: SystemTime) -> Result<Option<Claims>, Refusal> {
        let Self::Closed(closed) = self else { return Ok(None) };
        let decides = deciding(headers)?;
        // `deciding` has looked: the header is there.
        let token = headers.get(&NAMES[decides]).map(|value| value.as_bytes()).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit a double exactly")]
        let now = epoch_ms(now) as f64 / 1000.0;
        let claims = closed.verdict(token, now).map_err(refusal)?;
        strip(headers, decides);
        Ok(Some(claims))
    }
}

/// Which header decides: the first that is present, an empty one counts as absent.
fn deciding(headers: &HeaderMap) -> Result<usize, Refusal> {
    for (at, name) in NAMES.iter().enumerate() {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => return Err(unauthorized(format!("{name} is given more than once"))),
            (Some(value), None) if !value.is_empty() => return Ok(at),
            _ => {}
        }
    }
    Err(Refusal::empty(StatusCode::NOT_FOUND, "Token.Missing"))
}

/// Removes both SCW headers, and `X-Auth-Token` when it decided.
fn strip(headers: &mut HeaderMap, decided: usize) {
    let ours = if decided == LAST { &NAMES[..] } else { &NAMES[..LAST] };
    for name in ours {
        headers.remove(name);
    }
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Invalid(why) => unauthorized(why.to_string()),
        Refused::Claim(why) => Refusal::new(StatusCode::FORBIDDEN, "Token.Forbidden", why.to_string()),
    }
}

fn unauthorized(reason: String) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Token.Invalid", reason)
}

impl Closed {
    fn new(keys: Keys, owner: Owner) -> Self {
        Self { keys, owner, passed: Mutex::default() }
    }

    /// `now` in seconds since the epoch. A good token costs one digest and one look-up from its second use on, and one
    /// comparison when it is the last one's again.
    fn verdict(&self, token: &[u8], now: f64) -> Result<Claims, Refused> {
        if token.len() > compact::LONGEST {
            return Err(compact::Invalid::TooLong.into());
        }
        let lock = || self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = lock().of_last(token, now) {
            return Ok(claims);
        }
        let digest = verdicts::digest(token);
        if let Some(claims) = lock().get(token, &digest, now) {
            return Ok(claims);
        }
        let claims = compact::verified(token, &self.keys)?;
        let passed = claims::judge(&claims, &self.owner, now)?;
        let claims = passed.claims.clone();
        lock().keep(token, digest, passed, now);
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("value"));
        }
        headers
    }

    #[test]
    fn the_first_header_that_is_present_decides_and_only_it_is_taken_out() {
        let mut all =
            headers(&[("x-auth-token", "c"), ("scw_functions_token", "b"), ("scw-functions-token", "")]);
        assert_eq!(deciding(&all).map_err(|r| r.status), Ok(1));
        strip(&mut all, 1);
        assert_eq!(all.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-auth-token"]);
        let mut last = headers(&[("x-auth-token", "c"), ("scw-functions-token", "")]);
        assert_eq!(deciding(&last).map_err(|r| r.status), Ok(2));
        strip(&mut last, 2);
        assert!(last.is_empty());
    }

    #[test]
    fn a_header_given_twice_is_refused_even_when_one_copy_is_empty() {
        for twice in [["c", "c"], ["c", ""], ["", "c"]] {
            let given = headers(&[("x-auth-token", twice[0]), ("x-auth-token", twice[1])]);
            assert_eq!(deciding(&given).map_err(|r| r.status), Err(StatusCode::UNAUTHORIZED), "{twice:?}");
        }
        assert_eq!(deciding(&headers(&[])).map_err(|r| r.status), Err(StatusCode::NOT_FOUND));
    }
}
