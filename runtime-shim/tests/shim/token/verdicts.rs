//! Verdicts that are remembered: never beyond the token's end, and in bounded memory.

use std::time::Instant;

use serde_json::json;

use super::sign::{good_claims, now, token, with};
use super::{assert_unauthorized, bearing, private, seen};
use crate::harness::{DEADLINE, Shim};

#[test]
fn a_token_that_expires_is_refused_from_then_on() {
    let shim = private();
    let end = now() + 2;
    let short = token(&with("exp", json!(end)));
    assert_eq!(shim.call(bearing(&short)).status, 200);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = shim.call(bearing(&short));
        let is_over = now() >= end;
        if answer.status == 401 {
            assert!(is_over, "it was refused before its end");
            break;
        }
        assert_eq!(answer.status, 200);
        assert!(now() <= end && Instant::now() < deadline, "it passes beyond its end");
    }
    assert_unauthorized(&shim, "expired, and asked again", &short);
}

#[test]
fn a_good_token_does_not_lend_its_verdict_to_another() {
    let shim = private();
    let good = token(&good_claims());
    assert_eq!(shim.call(bearing(&good)).status, 200);
    for at in [0, good.find('.').expect("a dot") + 5, good.len() - 20] {
        let mut forged = good.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        assert_unauthorized(&shim, "one character", &String::from_utf8(forged).expect("text"));
    }
    assert_eq!(seen(&shim), 1);
}

#[test]
fn many_distinct_tokens_take_bounded_memory() {
    let shim = private();
    let large = |n: usize| token(&with("padding", json!(format!("{n}{}", "x".repeat(5000)))));
    for n in 0..50 {
        assert_eq!(shim.call(bearing(&large(n))).status, 200);
    }
    let before = resident_kib(&shim);
    for n in 50..1200 {
        let good = large(n);
        assert_eq!(shim.call(bearing(&good)).status, 200);
        assert_eq!(shim.call(bearing(&good.replace('.', "A."))).status, 401);
    }
    // The claims of all together are 6 MB.
    let grown = resident_kib(&shim).saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more");
}

fn resident_kib(shim: &Shim) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", shim.pid())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
