//! Tokens that passed, so that the next request with one costs a digest instead of a signature.
//!
//! Only good ones, by the SHA-256 of the whole token: a bad one cannot push a good one out, nor take memory.

use std::collections::HashMap;

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
}

struct Remembered {
    passed: Passed,
    /// Number of its last use.
    used: u64,
}

impl Verdicts {
    /// The claims of a token that passed before and passes now.
    pub(super) fn get(&mut self, digest: &Digest, now: f64) -> Option<Claims> {
        let remembered = self.tokens.get_mut(digest)?;
        if !remembered.passed.is_valid_at(now) {
            self.forget(digest);
            return None;
        }
        self.uses += 1;
        remembered.used = self.uses;
        Some(remembered.passed.claims.clone())
    }

    pub(super) fn keep(&mut self, digest: Digest, mut passed: Passed, now: f64) {
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
        self.tokens.insert(digest, Remembered { passed, used: self.uses });
    }

    fn forget(&mut self, digest: &Digest) {
        if let Some(gone) = self.tokens.remove(digest) {
            self.bytes -= gone.passed.claims.len();
        }
    }
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

    #[test]
    fn a_token_is_remembered_while_it_is_valid_and_never_beyond() {
        let mut verdicts = Verdicts::default();
        verdicts.keep([1; 32], passed(&json!({"exp": 110, "nbf": 155})), 100.0);
        assert!(verdicts.get(&[1; 32], 109.9).is_some());
        // The clock was put back.
        assert!(verdicts.get(&[1; 32], 94.0).is_none());
        verdicts.keep([1; 32], passed(&json!({"exp": 110})), 100.0);
        assert!(verdicts.get(&[1; 32], 110.0).is_none());
        assert!(verdicts.get(&[1; 32], 109.0).is_none(), "an expired one is forgotten");
        assert_eq!((verdicts.tokens.len(), verdicts.bytes), (0, 0));
    }

    #[test]
    fn a_token_without_an_end_is_checked_again_after_a_minute() {
        let mut verdicts = Verdicts::default();
        verdicts.keep([1; 32], passed(&json!({})), 100.0);
        assert!(verdicts.get(&[1; 32], 159.9).is_some());
        assert!(verdicts.get(&[1; 32], 160.0).is_none());
    }

    #[test]
    fn many_tokens_take_bounded_memory_and_those_in_use_stay() {
        let mut verdicts = Verdicts::default();
        let number = |n: usize| digest(&n.to_le_bytes());
        for n in 0..3 * TOKENS {
            verdicts.keep(number(n), passed(&json!({"n": n})), 100.0);
            assert!(verdicts.get(&number(0), 100.0).is_some(), "the one in use went after {n}");
        }
        assert_eq!(verdicts.tokens.len(), TOKENS);
        assert!(verdicts.get(&number(1), 100.0).is_none());
        for n in 0..3 * TOKENS {
            verdicts.keep(number(n), passed(&json!({"n": n, "padding": "x".repeat(4000)})), 100.0);
            let sum: usize = verdicts.tokens.values().map(|token| token.passed.claims.len()).sum();
            assert!(sum == verdicts.bytes && sum <= BYTES);
        }
        assert!(verdicts.tokens.len() > 200);
    }
}
