//! Tokens that passed, so that the next request with one costs a digest instead of a signature.
//!
//! Only good ones, by the SHA-256 of the whole token: a bad one cannot push a good one out, nor take memory. The last
//! one that passed is remembered whole: most callers come again, and to compare costs less than a digest.

use std::collections::HashMap;

use subtle::ConstantTimeEq;

use super::claims::{Claims, Passed};

/// Most tokens that are remembered.
const TOKENS: usize = 1024;
/// Most bytes of claims that are remembered.
const BYTES: usize = 1 << 20;
/// How long a token without an end is remembered, in seconds; then its signature is checked again.
const REMEMBERED: f64 = 60.0;

pub(super) type Digest = [u8; 32];

/// SHA-256.
pub(super) fn digest(token: &[u8]) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, token);
    digest.as_ref().try_into().unwrap_or_default()
}

/// The least recently used goes first.
#[derive(Default)]
pub(super) struct Verdicts {
    tokens: HashMap<Digest, Remembered>,
    bytes: usize,
    uses: u64,
    last: Option<Last>,
}

/// The token of the last use, so it is the last to go from `tokens` too.
struct Last {
    token: Box<[u8]>,
    passed: Passed,
}

struct Remembered {
    passed: Passed,
    /// Number of its last use.
    used: u64,
}

impl Verdicts {
    /// The claims of a token that is the last one that passed, and passes now.
    pub(super) fn of_last(&self, token: &[u8], now: f64) -> Option<Claims> {
        let last = self.last.as_ref().filter(|last| is_equal(&last.token, token))?;
        last.passed.is_valid_at(now).then(|| last.passed.claims.clone())
    }

    /// The claims of a token, `digest` being its own, that passed before and passes now.
    pub(super) fn get(&mut self, token: &[u8], digest: &Digest, now: f64) -> Option<Claims> {
        let remembered = self.tokens.get_mut(digest)?;
        if !remembered.passed.is_valid_at(now) {
            self.forget(digest);
            return None;
        }
        self.uses += 1;
        remembered.used = self.uses;
        let passed = remembered.passed.clone();
        let claims = passed.claims.clone();
        self.last = Some(Last { token: token.into(), passed });
        Some(claims)
    }

    pub(super) fn keep(&mut self, token: &[u8], digest: Digest, mut passed: Passed, now: f64) {
        if passed.until.is_infinite() {
            passed.until = now + REMEMBERED;
        }
        self.forget(&digest);
        while self.tokens.len() >= TOKENS || self.bytes + passed.claims.len() > BYTES {
            // A scan, beside a signature that costs more.
            let Some(oldest) = self.tokens.iter().min_by_key(|(_, token)| token.used).map(|(d, _)| *d) else {
                return;
            };
            self.forget(&oldest);
        }
        self.uses += 1;
        self.bytes += passed.claims.len();
        self.last = Some(Last { token: token.into(), passed: passed.clone() });
        self.tokens.insert(digest, Remembered { passed, used: self.uses });
    }

    fn forget(&mut self, digest: &Digest) {
        if let Some(gone) = self.tokens.remove(digest) {
            self.bytes -= gone.passed.claims.len();
        }
    }
}

/// Looks at every byte, however early two differ: the time says nothing of the token that is remembered. Eight bytes
/// are taken at once; `subtle` by itself looks at each.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (ones, rest_of_one) = one.as_chunks::<8>();
    let (others, rest_of_other) = other.as_chunks::<8>();
    let words = ones.iter().zip(others);
    let differences = words.fold(0, |all, (a, b)| all | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)));
    (differences.ct_eq(&0) & rest_of_one.ct_eq(rest_of_other)).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::claims::{Owner, judge};
    use super::*;

    fn passed(claims: &Value) -> Passed {
        let owner = Owner { namespace_id: "n".into(), application_id: "a".into() };
        let mut fields = claims.as_object().expect("an object").clone();
        fields.insert("application_claim".into(), json!([{"namespace_id": "n"}]));
        judge(&fields, &owner, 100.0).expect("good")
    }

    impl Verdicts {
        fn keeps(&mut self, token: &str, claims: &Value) {
            self.keep(token.as_bytes(), digest(token.as_bytes()), passed(claims), 100.0);
        }

        fn has(&mut self, token: &str, now: f64) -> bool {
            self.get(token.as_bytes(), &digest(token.as_bytes()), now).is_some()
        }
    }

    #[test]
    fn a_token_is_remembered_while_it_is_valid_and_never_beyond() {
        let mut verdicts = Verdicts::default();
        verdicts.keeps("t", &json!({"exp": 110, "nbf": 155}));
        assert!(verdicts.of_last(b"t", 109.9).is_some() && verdicts.has("t", 109.9));
        // The clock was put back.
        assert!(verdicts.of_last(b"t", 94.0).is_none() && !verdicts.has("t", 94.0));
        verdicts.keeps("t", &json!({"exp": 110}));
        assert!(verdicts.of_last(b"t", 110.0).is_none() && !verdicts.has("t", 110.0));
        assert!(!verdicts.has("t", 109.0), "an expired one is forgotten");
        assert_eq!((verdicts.tokens.len(), verdicts.bytes), (0, 0));
    }

    #[test]
    fn a_token_without_an_end_is_checked_again_after_a_minute() {
        let mut verdicts = Verdicts::default();
        verdicts.keeps("t", &json!({}));
        assert!(verdicts.of_last(b"t", 159.9).is_some() && verdicts.has("t", 159.9));
        assert!(verdicts.of_last(b"t", 160.0).is_none() && !verdicts.has("t", 160.0));
    }

    #[test]
    fn the_last_one_is_the_one_used_last_and_no_other_text_is_it() {
        let mut verdicts = Verdicts::default();
        let (one, two) = ("one.two.three.four", "one.two.three.fouR");
        verdicts.keeps(one, &json!({"n": 1}));
        verdicts.keeps(two, &json!({"n": 2}));
        assert!(verdicts.of_last(one.as_bytes(), 100.0).is_none());
        assert!(verdicts.of_last(two.as_bytes(), 100.0).is_some_and(|claims| claims.json().contains("2")));
        assert!(verdicts.has(one, 100.0));
        assert!(verdicts.of_last(one.as_bytes(), 100.0).is_some_and(|claims| claims.json().contains("1")));
        for at in 0..one.len() {
            let mut near = one.as_bytes().to_vec();
            near[at] ^= 1;
            assert!(
                verdicts.of_last(&near, 100.0).is_none() && verdicts.of_last(&near[..at], 100.0).is_none()
            );
        }
        assert!(verdicts.of_last(&[one.as_bytes(), b"x"].concat(), 100.0).is_none());
    }

    #[test]
    fn many_tokens_take_bounded_memory_and_those_in_use_stay() {
        let mut verdicts = Verdicts::default();
        for n in 0..3 * TOKENS {
            verdicts.keeps(&n.to_string(), &json!({"n": n}));
            assert!(verdicts.has("0", 100.0), "the one in use went after {n}");
        }
        assert_eq!(verdicts.tokens.len(), TOKENS);
        assert!(!verdicts.has("1", 100.0));
        for n in 0..3 * TOKENS {
            verdicts.keeps(&n.to_string(), &json!({"n": n, "padding": "x".repeat(4000)}));
            let sum: usize = verdicts.tokens.values().map(|token| token.passed.claims.len()).sum();
            assert!(sum == verdicts.bytes && sum <= BYTES);
        }
        assert!(verdicts.tokens.len() > 200);
    }
}
