//! Tokens that look right: what was done to other implementations, and what RFC 7515, 7797 and 8725 warn of.

use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256};
use serde_json::{Value, json};

use super::sign::{
    OWN, SECOND, encode, es256, good_claims, hs256, rsa, signed, signed_text, token, unsigned,
};
use super::{NAMESPACE, PKCS1, SPKI, assert_unauthorized, bearing, private, seen};

const RS256: &str = r#"{"alg":"RS256"}"#;

#[test]
fn every_algorithm_but_rs256_is_refused_whoever_signed() {
    let shim = private();
    for alg in ["none", "None", "NONE", "nOnE", "RS256"] {
        let message = unsigned(&json!({"alg": alg}).to_string());
        assert_unauthorized(&shim, alg, &format!("{message}."));
        assert_unauthorized(&shim, alg, &message);
        assert_unauthorized(&shim, alg, &format!("{message}.{}", encode([0; 256])));
        assert_unauthorized(&shim, alg, &format!("{message}.{}", encode("none")));
    }
    for secret in [PKCS1, SPKI, PKCS1.trim_end(), SPKI.trim_end(), ""] {
        assert_unauthorized(&shim, "HS256 with the key's text", &hs256(secret));
    }
    for (alg, how) in [
        ("RS384", &RSA_PKCS1_SHA384 as &'static dyn ring::signature::RsaEncoding),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
    ] {
        assert_unauthorized(&shim, alg, &rsa(&json!({"alg": alg}), how, OWN));
        assert_unauthorized(
            &shim,
            &format!("{alg} that calls itself RS256"),
            &rsa(&json!({"alg": "RS256"}), how, OWN),
        );
        assert_unauthorized(
            &shim,
            &format!("RS256 that calls itself {alg}"),
            &rsa(&json!({"alg": alg}), &RSA_PKCS1_SHA256, OWN),
        );
    }
    for alg in ["ES256", "RS256"] {
        assert_unauthorized(&shim, "ES256", &es256(&json!({"alg": alg}).to_string()));
    }
    for alg in ["rs256", "RS256 ", "RS256\u{0}", "", "EdDSA", "RSA-OAEP", "dir"] {
        assert_unauthorized(&shim, alg, &rsa(&json!({"alg": alg}), &RSA_PKCS1_SHA256, OWN));
    }
    for alg in [json!(null), json!(["RS256"]), json!({"RS256": 1}), json!(256), json!(true)] {
        assert_unauthorized(&shim, "alg of another type", &rsa(&json!({"alg": alg}), &RSA_PKCS1_SHA256, OWN));
    }
    assert_unauthorized(&shim, "no alg", &rsa(&json!({"typ": "JWT"}), &RSA_PKCS1_SHA256, OWN));
    assert_eq!(seen(&shim), 0);
}

#[test]
fn a_key_that_the_token_brings_along_is_never_used() {
    let shim = private();
    let jwk = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "n": "AQAB", "e": "AQAB"});
    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jwk", json!({"keys": [jwk]})),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/certificate")),
        ("x5c", json!(["AA=="])),
        ("x5t", json!("AA")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!({"a": 1})),
        ("typ", json!("JWE")),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
    ] {
        let header = json!({"alg": "RS256", name: value});
        assert_unauthorized(&shim, name, &rsa(&header, &RSA_PKCS1_SHA256, SECOND));
        // The namespace's own tokens may say so: it changes nothing.
        let own = rsa(&header, &RSA_PKCS1_SHA256, OWN);
        assert_eq!(shim.call(bearing(&own)).status, 200, "{header}");
    }
    assert_unauthorized(&shim, "another key", &rsa(&json!({"alg": "RS256"}), &RSA_PKCS1_SHA256, SECOND));
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    let shim = private();
    for header in [
        r#"{"alg":"RS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"RS256","crit":[]}"#,
        r#"{"alg":"RS256","crit":null}"#,
        r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"RS256","b64":false}"#,
        r#"{"alg":"RS256","crit":["alg"]}"#,
    ] {
        assert_unauthorized(&shim, header, &signed(header, good_claims().to_string()));
    }
    // RFC 7797: the claims as they are, not encoded.
    let plain =
        signed_text(&format!("{}.{}", encode(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#), "claims"));
    assert_unauthorized(&shim, "claims that are not encoded", &plain);
}

#[test]
fn a_key_that_stands_twice_in_header_or_claims_is_refused() {
    let shim = private();
    for header in [
        r#"{"alg":"none","alg":"RS256"}"#,
        r#"{"alg":"RS256","alg":"none"}"#,
        r#"{"alg":"RS256","typ":"JWT","typ":"JWT"}"#,
        r#"{"alg":"RS256","\u0061lg":"RS256"}"#,
        r#"{"alg":"RS256","jwk":{"n":1,"n":2}}"#,
    ] {
        assert_unauthorized(&shim, header, &signed(header, good_claims().to_string()));
    }
    let good = good_claims().to_string();
    let open = good.trim_end_matches('}');
    for more in [
        r#","exp":1,"exp":9999999999}"#.to_owned(),
        r#","exp":9999999999,"exp":9999999999}"#.to_owned(),
        format!(r#","application_claim":[{{"namespace_id":"{NAMESPACE}"}}]}}"#),
        r#","application\u005fclaim":[]}"#.to_owned(),
        r#","deep":[{"a":{"b":1,"b":1}}]}"#.to_owned(),
    ] {
        assert_unauthorized(&shim, &more, &signed(RS256, format!("{open}{more}")));
    }
    let twice = format!(r#"{{"application_claim":[{{"namespace_id":"x","namespace_id":"{NAMESPACE}"}}]}}"#);
    assert_unauthorized(&shim, "ids twice", &signed(RS256, twice));
}

#[test]
fn a_token_is_three_parts_of_strict_base64url_and_no_other_form() {
    let shim = private();
    let good = token(&good_claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let message = format!("{header}.{claims}");
    // 256 bytes leave four bits of the last character unused: all 16 ways to set them must not be the same token.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = signature.bytes().last().expect("a character");
    let value = alphabet.iter().position(|byte| *byte == last).expect("in the alphabet");
    for bits in 1..16 {
        let other = char::from(alphabet[value ^ bits]);
        let forged = format!("{message}.{}{other}", &signature[..signature.len() - 1]);
        assert_unauthorized(&shim, "bits beyond the end", &forged);
    }
    for (what, forged) in [
        ("no JWT", "x".to_owned()),
        ("dots", "..".to_owned()),
        ("two parts", message.clone()),
        ("no signature", format!("{message}.")),
        ("four parts", format!("{good}.{signature}")),
        ("a dot behind", format!("{good}.")),
        ("a dot before", format!(".{good}")),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{header}..{signature}")),
        ("five parts, as encrypted tokens have", format!("{good}.a.b")),
        ("padded", format!("{good}==")),
        ("padded header", format!("{header}=.{claims}.{signature}")),
        ("white space within", format!("{header}. {claims}.{signature}")),
        ("a comment", format!("{message}.{signature},")),
        ("quoted", format!("\"{good}\"")),
        ("Bearer", format!("Bearer {good}")),
        (
            "the JSON form",
            json!({"protected": header, "payload": claims, "signature": signature}).to_string(),
        ),
        ("too short a signature", format!("{message}.{}", &signature[..signature.len() - 4])),
        ("too long a signature", format!("{message}.{signature}AAAA")),
        ("a zero before the signature", format!("{message}.AAAA{signature}")),
        ("zeros", format!("{message}.{}", encode([0; 256]))),
        ("one", format!("{message}.{}", encode([&[0; 255][..], &[1]].concat()))),
        ("all ones", format!("{message}.{}", encode([0xff; 256]))),
        (
            "the claims of another token",
            format!("{header}.{}.{signature}", encode(r#"{"application_claim":[]}"#)),
        ),
        ("the header of another token", format!("{}.{claims}.{signature}", encode(RS256))),
        ("swapped", format!("{claims}.{header}.{signature}")),
        ("lower case", good.to_lowercase()),
    ] {
        assert_unauthorized(&shim, what, &forged);
    }
    for (what, forged) in [
        ("signed padding", signed_text(&format!("{}=.{claims}", encode(RS256)))),
        (
            "the other alphabet",
            signed_text(&format!(
                "{}.{claims}",
                encode("{\"alg\":\"RS256\",\"a\":\"~~~???\"}").replace('_', "/").replace('-', "+")
            )),
        ),
        ("signed white space", signed_text(&format!("{header} .{claims}"))),
    ] {
        assert_unauthorized(&shim, what, &forged);
    }
    assert_eq!(seen(&shim), 0);
}

#[test]
fn header_and_claims_are_json_objects_of_bounded_depth_in_utf_8() {
    let shim = private();
    let good = good_claims().to_string();
    let bytes =
        |before: &str, middle: &[u8], after: &str| [before.as_bytes(), middle, after.as_bytes()].concat();
    for header in [
        &b""[..],
        b" ",
        b"null",
        b"[]",
        b"\"RS256\"",
        b"{",
        b"{}x",
        b"{\"alg\":\"RS256\",}",
        b"\xef\xbb\xbf{\"alg\":\"RS256\"}",
        b"{\"alg\":\"RS256\",\"a\":\"\xff\"}",
        b"\xfe\xff\x00{\x00}",
    ] {
        assert_unauthorized(&shim, "header", &signed_text(&format!("{}.{}", encode(header), encode(&good))));
    }
    let open = good.trim_end_matches('}').to_owned();
    for claims in [
        bytes("", b"", ""),
        bytes("null", b"", ""),
        bytes("[", good.as_bytes(), "]"),
        bytes("\"", b"", "\""),
        bytes(&good, good.as_bytes(), ""),
        bytes(&good, b"\0", ""),
        bytes(&open, b",\"a\":\"\xc0\xaf\"", "}"),
        bytes(&open, b",\"a\":\"\xed\xa0\x80\"", "}"),
        bytes(&open, b",\"a\":\"\\ud800\"", "}"),
        bytes(&open, b",\"a\":1e999", "}"),
        bytes(&open, b",\"a\":0x10", "}"),
        bytes(&open, format!(",\"a\":{}{}", "[".repeat(1000), "]".repeat(1000)).as_bytes(), "}"),
        bytes(&open, format!(",\"a\":{}1{}", "{\"a\":".repeat(500), "}".repeat(500)).as_bytes(), "}"),
    ] {
        assert_unauthorized(&shim, &String::from_utf8_lossy(&claims), &signed(RS256, &claims));
    }
}

#[test]
fn a_token_over_8_kib_is_refused_and_one_below_is_not() {
    let shim = private();
    let sized = |padding: usize| {
        token(&{
            let mut claims: Value = good_claims();
            claims["padding"] = json!("x".repeat(padding));
            claims
        })
    };
    let (fits, does_not) = (sized(5400), sized(5900));
    assert!(fits.len() <= 8192 && does_not.len() > 8192, "{} {}", fits.len(), does_not.len());
    assert_eq!(shim.call(bearing(&fits)).status, 200);
    assert_unauthorized(&shim, "over 8 KiB", &does_not);
    assert_unauthorized(&shim, "dots", &".".repeat(9000));
    assert_unauthorized(&shim, "long", &"a".repeat(60_000));
}
