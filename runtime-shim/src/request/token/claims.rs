//! What a token whose signature is good says: until when, and for whom.

use std::sync::Arc;

use contract::token::{ApplicationClaim, ClaimRefusal, admit};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::compact::Invalid;

/// How far clocks may differ, in seconds; for `nbf` and `iat` only, never for `exp`.
const LEEWAY: f64 = 60.0;
/// Dates lie below, in seconds since the epoch: beyond are milliseconds, or a try to overflow something.
const LATEST: f64 = 1e12;

/// The ids of this function and its namespace; neither is empty.
pub(super) struct Owner {
    pub(super) namespace_id: String,
    pub(super) application_id: String,
}

/// Verified claims as the event has them: ASCII JSON, written once.
#[derive(Debug, Clone)]
pub(crate) struct Claims(Arc<RawValue>);

impl Claims {
    fn new(fields: &Map<String, Value>) -> Self {
        let json = String::from_utf8(crate::request::ascii_json(fields)).unwrap_or_default();
        // A map was serialised a line above: it is JSON.
        Self(RawValue::from_string(json).unwrap_or_default().into())
    }

    pub(crate) fn json(&self) -> &str {
        self.0.get()
    }

    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.0.get().len()
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A token that passes while the clock is in this range. Seconds since the epoch; without `exp` there is no end.
#[derive(Debug, Clone)]
pub(super) struct Passed {
    pub(super) claims: Claims,
    from: f64,
    pub(super) until: f64,
}

impl Passed {
    pub(super) fn is_valid_at(&self, now: f64) -> bool {
        self.from <= now && now < self.until
    }
}

/// Why a token does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// 401.
    Invalid(Invalid),
    /// 403.
    Claim(ClaimRefusal),
}

impl From<Invalid> for Refused {
    fn from(why: Invalid) -> Self {
        Self::Invalid(why)
    }
}

/// Dates first, then the ids.
pub(super) fn judge(claims: &Map<String, Value>, owner: &Owner, now: f64) -> Result<Passed, Refused> {
    let (from, until) = dates(claims, now)?;
    let claim = application_claim(claims).ok_or(Refused::Claim(ClaimRefusal::Unusable))?;
    admit(&[claim], &owner.namespace_id, &owner.application_id).map_err(Refused::Claim)?;
    Ok(Passed { claims: Claims::new(claims), from, until })
}

/// The one element, an object whose ids are strings. Serde's own reading would take an array for it too.
fn application_claim(claims: &Map<String, Value>) -> Option<ApplicationClaim> {
    let [Value::Object(claim)] = claims.get("application_claim")?.as_array()?.as_slice() else { return None };
    let id = |name: &str| match claim.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(id)) => Some(Some(id.clone())),
        Some(_) => None,
    };
    Some(ApplicationClaim { namespace_id: id("namespace_id")?, application_id: id("application_id")? })
}

/// From when until when the token is valid, or why it is not at `now`. A date may have a fraction (RFC 7519).
fn dates(claims: &Map<String, Value>, now: f64) -> Result<(f64, f64), Invalid> {
    let date = |name: &'static str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|date| (0.0..LATEST).contains(date)) {
            Some(date) => Ok(Some(date)),
            None => Err(Invalid::Date(name)),
        },
    };
    let mut from = 0.0_f64;
    for name in ["nbf", "iat"] {
        let start = date(name)?.unwrap_or(0.0) - LEEWAY;
        if start > now {
            return Err(Invalid::NotYet(name));
        }
        from = from.max(start);
    }
    match date("exp")? {
        Some(until) if until <= now => Err(Invalid::Expired),
        until => Ok((from, until.unwrap_or(f64::INFINITY))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn dates_are_judged_with_leeway_for_the_start_only() {
        for (claims, expected) in [
            (json!({}), (0.0, f64::INFINITY)),
            (json!({"exp": 101}), (0.0, 101.0)),
            (json!({"exp": 100.001}), (0.0, 100.001)),
            (json!({"nbf": 160, "iat": 160, "exp": 1000}), (100.0, 1000.0)),
            (json!({"nbf": 159.5, "iat": 0, "exp": 999_999_999_999_u64}), (99.5, 999_999_999_999.0)),
        ] {
            assert_eq!(dates(&fields(&claims), 100.0), Ok(expected), "{claims}");
        }
        for (claims, why) in [
            (json!({"exp": 100}), Invalid::Expired),
            (json!({"exp": 99.999}), Invalid::Expired),
            (json!({"exp": 0}), Invalid::Expired),
            (json!({"exp": -0.0}), Invalid::Expired),
            (json!({"nbf": 161}), Invalid::NotYet("nbf")),
            (json!({"nbf": 160.001}), Invalid::NotYet("nbf")),
            (json!({"iat": 161}), Invalid::NotYet("iat")),
        ] {
            assert_eq!(dates(&fields(&claims), 100.0), Err(why), "{claims}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused_and_never_taken_for_absent() {
        for name in ["exp", "nbf", "iat"] {
            for value in [
                json!(null),
                json!("1000"),
                json!(true),
                json!([1000]),
                json!({"a": 1000}),
                json!(-1),
                json!(-0.5),
                json!(1e300),
                json!(u64::MAX),
                json!(i64::MIN),
                // Milliseconds.
                json!(1_795_600_000_000_u64),
            ] {
                let claims = json!({name: value});
                assert_eq!(dates(&fields(&claims), 100.0), Err(Invalid::Date(name)), "{claims}");
            }
        }
    }

    #[test]
    fn only_an_object_with_ids_of_text_is_a_claim() {
        let owner = Owner { namespace_id: "n".into(), application_id: "a".into() };
        let verdict =
            |claim: &Value| judge(&fields(&json!({"application_claim": claim})), &owner, 1.0).map(|_| ());
        for good in [
            json!([{"namespace_id": "n"}]),
            json!([{"application_id": "a", "namespace_id": null}]),
            json!([{"namespace_id": "n", "application_id": "a", "more": [1]}]),
        ] {
            assert_eq!(verdict(&good), Ok(()), "{good}");
        }
        for unusable in [
            json!([["n", "a"]]),
            json!([["n"]]),
            json!([{"namespace_id": ["n"]}]),
            json!([{"namespace_id": "n", "application_id": 1}]),
            json!([{"namespace_id": {"n": "n"}}]),
            json!([{"Namespace_Id": "n"}]),
            json!([{"namespace_id": ""}]),
            json!([{}, {"namespace_id": "n"}]),
            json!([[{"namespace_id": "n"}]]),
            json!({"0": {"namespace_id": "n"}}),
            json!({"namespace_id": "n"}),
            json!("n"),
            json!(null),
            json!([null]),
            json!([]),
        ] {
            assert_eq!(verdict(&unusable), Err(Refused::Claim(ClaimRefusal::Unusable)), "{unusable}");
        }
        for other in [
            json!([{"namespace_id": "N"}]),
            json!([{"namespace_id": "n "}]),
            json!([{"namespace_id": "n\u{0}"}]),
            json!([{"namespace_id": "a"}]),
            json!([{"namespace_id": "n", "application_id": "b"}]),
            json!([{"namespace_id": "m", "application_id": "a"}]),
        ] {
            assert_eq!(verdict(&other), Err(Refused::Claim(ClaimRefusal::Other)), "{other}");
        }
    }

    #[test]
    fn claims_are_ascii_json_that_reads_as_what_was_signed() {
        let given = fields(&json!({"sub": "h\u{e9} \u{1f600}", "n": 1.5, "list": [null, true]}));
        let claims = Claims::new(&given);
        assert!(claims.0.get().is_ascii());
        assert_eq!(serde_json::from_str::<Value>(claims.0.get()).expect("JSON"), Value::Object(given));
    }
}
