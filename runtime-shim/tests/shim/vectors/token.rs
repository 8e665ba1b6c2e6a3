//! Tokens of the vectors: made when they are sent, with the keys of the tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The private function's own.
pub(super) const NAMESPACE: &str = "our-namespace";
pub(super) const APPLICATION: &str = "our-application";
pub(super) const PUBLIC_KEY: &str = include_str!("../keys/pkcs1.pem");
const SPKI: &str = include_str!("../keys/spki.pem");
const PRIVATE_KEY: &str = include_str!("../keys/private.pem");
const STRANGER: &str = include_str!("../keys/stranger.pem");

/// How a token is made. What is not said is as in a good one.
#[derive(Deserialize, Serialize, Clone, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Token {
    /// Laid over `{"alg": "RS256", "typ": "JWT"}`.
    header: Map<String, Value>,
    /// Laid over the claims of a good token. Dates may be `now`, `now+60`, `now-1`.
    claims: Map<String, Value>,
    /// Claims that are left out.
    without: Vec<String>,
    /// The JSON text of header and claims, where it is none that a map can say.
    header_text: Option<String>,
    claims_text: Option<String>,
    sign: Signing,
}

#[derive(Deserialize, Serialize, Clone, Copy, Default)]
enum Signing {
    #[default]
    RS256,
    RS384,
    RS512,
    PS256,
    /// An elliptic curve's, with a key made for it.
    ES256,
    /// A hash with the public key's text, in either form, as its secret.
    HS256WithPkcs1,
    HS256WithSpki,
    /// RS256 with a key that is not the function's.
    Stranger,
    /// No signature.
    Nothing,
}

/// The parts of a token that was made.
pub(super) struct Made {
    header: String,
    claims: String,
    signature: String,
}

impl Made {
    /// Fills in `{token}`, or its parts `{header}`, `{claims}`, `{signature}`.
    pub(super) fn fill(&self, text: &str) -> String {
        let token = format!("{}.{}.{}", self.header, self.claims, self.signature);
        text.replace("{token}", &token)
            .replace("{header}", &self.header)
            .replace("{claims}", &self.claims)
            .replace("{signature}", &self.signature)
    }
}

/// For so long a token is used again for the next language: signing costs more than all the rest of a case.
const FRESH: Duration = Duration::from_secs(20);

impl Token {
    pub(super) fn make(&self) -> Arc<Made> {
        static MADE: Mutex<BTreeMap<String, (Instant, Arc<Made>)>> = Mutex::new(BTreeMap::new());
        let said = serde_json::to_string(self).expect("JSON");
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = made.get(&said).filter(|(at, _)| at.elapsed() < FRESH) {
            return made.clone();
        }
        let new = Arc::new(self.make_anew());
        made.insert(said, (Instant::now(), new.clone()));
        new
    }

    fn make_anew(&self) -> Made {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        lay(&mut header, &self.header);
        let mut claims = json!({"iss": "zipship", "sub": APPLICATION, "aud": "callers", "iat": "now",
            "nbf": "now", "jti": "token-1",
            "application_claim": [{"namespace_id": NAMESPACE, "application_id": APPLICATION}]});
        lay(&mut claims, &self.claims);
        let fields = claims.as_object_mut().expect("claims");
        fields.retain(|name, _| !self.without.contains(name));
        for name in ["iat", "nbf", "exp"] {
            if let Some(date) = fields.get(name).and_then(Value::as_str).and_then(date) {
                fields.insert(name.into(), json!(date));
            }
        }
        let part = |text: &Option<String>, json: Value| {
            URL_SAFE_NO_PAD.encode(text.clone().unwrap_or_else(|| json.to_string()))
        };
        let (header, claims) = (part(&self.header_text, header), part(&self.claims_text, claims));
        let signature = self.sign.sign(format!("{header}.{claims}").as_bytes());
        Made { header, claims, signature: URL_SAFE_NO_PAD.encode(signature) }
    }
}

fn lay(over: &mut Value, fields: &Map<String, Value>) {
    for (name, value) in fields {
        over[name] = value.clone();
    }
}

/// Seconds since the Unix epoch for `now`, `now+5`, `now-5`.
fn date(text: &str) -> Option<i64> {
    let offset = match text.strip_prefix("now")? {
        "" => 0,
        offset => offset.parse().ok()?,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    Some(i64::try_from(now).expect("a date") + offset)
}

impl Signing {
    fn sign(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::RS256 => rsa(PRIVATE_KEY, &RSA_PKCS1_SHA256, message),
            Self::RS384 => rsa(PRIVATE_KEY, &RSA_PKCS1_SHA384, message),
            Self::RS512 => rsa(PRIVATE_KEY, &RSA_PKCS1_SHA512, message),
            Self::PS256 => rsa(PRIVATE_KEY, &RSA_PSS_SHA256, message),
            Self::Stranger => rsa(STRANGER, &RSA_PKCS1_SHA256, message),
            Self::HS256WithPkcs1 => hmac(PUBLIC_KEY, message),
            Self::HS256WithSpki => hmac(SPKI, message),
            Self::ES256 => ecdsa(message),
            Self::Nothing => Vec::new(),
        }
    }
}

fn rsa(pem: &'static str, how: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    // Reading a key costs more than signing with it.
    static KEYS: Mutex<BTreeMap<&str, Arc<RsaKeyPair>>> = Mutex::new(BTreeMap::new());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = keys.entry(pem).or_insert_with(|| {
        let der: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        Arc::new(RsaKeyPair::from_pkcs8(&STANDARD.decode(der).expect("base64")).expect("a key"))
    });
    let key = key.clone();
    drop(keys);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(how, &SystemRandom::new(), message, &mut signature).expect("signed");
    signature
}

fn hmac(secret: &str, message: &[u8]) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    ring::hmac::sign(&key, message).as_ref().to_vec()
}

fn ecdsa(message: &[u8]) -> Vec<u8> {
    let (how, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(how, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(how, pkcs8.as_ref(), &random).expect("a key");
    key.sign(&random, message).expect("signed").as_ref().to_vec()
}

/// `{key:pkcs1}` in a setting is the text of that key file.
pub(super) fn with_keys(setting: &str) -> String {
    setting
        .replace("{key:pkcs1}", PUBLIC_KEY)
        .replace("{key:spki}", SPKI)
        .replace("{key:private}", PRIVATE_KEY)
        .replace("{key:pkcs1-escaped}", &PUBLIC_KEY.replace('\n', "\\n"))
}
