//! Forms of the public key, rotation, and keys with which the shim does not start.

use ring::signature::RSA_PKCS1_SHA256;
use serde_json::json;

use super::sign::{OWN, SECOND, good_claims, rsa, token};
use super::{PKCS1, SPKI, assert_unauthorized, bearing, setup};

const SECOND_SPKI: &str = include_str!("../keys/second_spki.pem");
const SHORT: &str = include_str!("../keys/short_pkcs1.pem");
const CURVE: &str = include_str!("../keys/ec_spki.pem");

#[test]
fn either_form_of_the_key_verifies_however_its_lines_are_written() {
    for key in [PKCS1.to_owned(), SPKI.to_owned(), PKCS1.replace('\n', "\\n"), SPKI.replace('\n', "\r\n")] {
        let shim = setup(&key).start();
        assert_eq!(shim.call(bearing(&token(&good_claims()))).status, 200, "{key}");
    }
}

#[test]
fn while_a_key_rotates_tokens_of_the_old_and_the_new_one_pass() {
    let of = |key| rsa(&json!({"alg": "RS256"}), &RSA_PKCS1_SHA256, key);
    for (keys, passes) in [
        (format!("{PKCS1}{SECOND_SPKI}"), [true, true]),
        (format!("{SECOND_SPKI}{PKCS1}").replace('\n', "\\n"), [true, true]),
        (SECOND_SPKI.to_owned(), [false, true]),
    ] {
        let shim = setup(&keys).start();
        for (key, passes) in [OWN, SECOND].into_iter().zip(passes) {
            match passes {
                true => assert_eq!(shim.call(bearing(&of(key))).status, 200),
                false => assert_unauthorized(&shim, "the key that has gone", &of(key)),
            }
        }
    }
}

#[test]
fn without_a_usable_key_the_shim_does_not_start_and_names_the_variable() {
    for (key, why) in [
        ("x", "no PEM"),
        (OWN, "private"),
        (SHORT, "1024 bits"),
        (CURVE, "no RSA public key"),
        (&PKCS1[..200], "no end"),
        (&format!("{PKCS1}{SHORT}"), "1024 bits"),
        (&format!("{PKCS1}{OWN}"), "private"),
    ] {
        let (status, _, stderr) = setup(key).start_plain().ended();
        assert_eq!(status.code(), Some(64), "{stderr}");
        assert!(stderr.contains("SCW_PUBLIC_KEY") && stderr.contains(why), "{why}: {stderr}");
        let secret = OWN.lines().nth(3).expect("a line");
        assert!(!stderr.contains(secret), "a key is not printed");
    }
    for name in ["SCW_PUBLIC_KEY", "SCW_NAMESPACE_ID", "SCW_APPLICATION_ID"] {
        for setup in [setup(PKCS1).unset(name), setup(PKCS1).set(name, "")] {
            let (status, _, stderr) = setup.start_plain().ended();
            assert_eq!(status.code(), Some(64), "{stderr}");
            assert!(stderr.contains(name) && stderr.contains("-e SCW_PUBLIC=true"), "{name}: {stderr}");
        }
    }
}

#[test]
fn anything_but_true_is_private() {
    for public in ["", "false", "True", "TRUE", "1", "yes", "true ", " true"] {
        let shim = setup(PKCS1).set("SCW_PUBLIC", public).start();
        assert_eq!(shim.get("/").status, 404, "{public:?}");
    }
}
