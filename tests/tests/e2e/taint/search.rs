//! Looks for secrets, in every form in which something may write them down.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    io::Read as _,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use flate2::read::MultiGzDecoder;

/// Where a secret may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// By whom it belongs to, in an answer that succeeds: his variables, tokens and URLs.
    ByItsOwner,
    /// By everybody who has sent it, in an answer that succeeds.
    ByItsSender,
    /// A variable, and in what the code that has it answers and logs.
    SaidByItsCode,
    /// In no answer.
    Never,
}

/// What must not be found.
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) seen: Seen,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Secret {
    pub(super) fn new(name: &str, seen: Seen, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 12, "{name} is too short to be found by accident only");
        let mut known = BTreeSet::new();
        let forms = forms(bytes).into_iter().filter(|(_, form)| known.insert(form.clone()));
        Self { name: name.to_owned(), seen, forms: forms.collect() }
    }
}

/// A secret that is where it was looked for.
pub(super) struct Found<'a> {
    pub(super) secret: &'a Secret,
    /// In which form.
    form: &'static str,
    pub(super) place: String,
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) in {}", self.secret.name, self.form, self.place)
    }
}

/// One form of a secret.
struct Form<'a> {
    secret: &'a Secret,
    what: &'static str,
    bytes: &'a [u8],
}

/// All forms of some secrets, looked for in one pass: first by their first bytes.
pub(super) struct Search<'a> {
    by_begin: HashMap<[u8; BEGIN], Vec<Form<'a>>>,
    /// Whether any of them has a beginning with this hash.
    hashes: Vec<bool>,
}

const BEGIN: usize = 8;

impl<'a> Search<'a> {
    pub(super) fn new(secrets: &'a [Secret]) -> Self {
        let mut search = Self { by_begin: HashMap::new(), hashes: vec![false; 1 << 16] };
        for secret in secrets {
            for (what, bytes) in &secret.forms {
                let begin: [u8; BEGIN] = bytes[..BEGIN].try_into().unwrap();
                search.hashes[hash(begin)] = true;
                search.by_begin.entry(begin).or_default().push(Form { secret, what, bytes });
            }
        }
        search
    }

    /// Which secrets are there, in which form; in what is packed with gzip also in what was packed.
    pub(super) fn of(&self, place: &str, bytes: &[u8]) -> Vec<Found<'a>> {
        let mut unpacked = Vec::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            // What is no whole gzip after all is looked at as it is.
            let _ = MultiGzDecoder::new(bytes).read_to_end(&mut unpacked);
        }
        let mut found: Vec<Found<'_>> = Vec::new();
        for text in [bytes, &unpacked] {
            for (at, window) in text.windows(BEGIN).enumerate() {
                let begin: [u8; BEGIN] = window.try_into().unwrap();
                if !self.hashes[hash(begin)] {
                    continue;
                }
                for Form { secret, what, bytes } in self.by_begin.get(&begin).into_iter().flatten() {
                    let is_new = found.iter().all(|known| known.secret.name != secret.name);
                    if is_new && text[at..].starts_with(bytes) {
                        found.push(Found { secret, form: what, place: place.to_owned() });
                    }
                }
            }
        }
        found
    }
}

fn hash(begin: [u8; BEGIN]) -> usize {
    (u64::from_le_bytes(begin).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

fn forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |one: &dyn Fn(&u8) -> String| bytes.iter().map(one).collect::<Vec<_>>();
    let mut forms = vec![
        ("raw", bytes.to_vec()),
        ("hex", each(&|byte| format!("{byte:02x}")).concat().into_bytes()),
        ("HEX", each(&|byte| format!("{byte:02X}")).concat().into_bytes()),
        ("percent", each(&|byte| format!("%{byte:02x}")).concat().into_bytes()),
        ("PERCENT", each(&|byte| format!("%{byte:02X}")).concat().into_bytes()),
        ("\\u", each(&|byte| format!("\\u00{byte:02x}")).concat().into_bytes()),
        ("numbers", each(&u8::to_string).join(", ").into_bytes()),
        ("numbers of JSON", each(&u8::to_string).join(",").into_bytes()),
    ];
    if let Ok(text) = std::str::from_utf8(bytes) {
        let json = serde_json::Value::from(text).to_string();
        forms.push(("JSON", json.as_bytes()[1..json.len() - 1].to_vec()));
        forms.push(("Debug", format!("{text:?}").trim_matches('"').as_bytes().to_vec()));
    }
    for before in 0..3 {
        let padded = [&vec![0; before][..], bytes].concat();
        // Characters that hold bits of what stands before and behind are left out.
        let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for (what, text) in
            [("base64", STANDARD_NO_PAD.encode(&padded)), ("base64url", URL_SAFE_NO_PAD.encode(&padded))]
        {
            forms.push((what, text.as_bytes()[from..to].to_vec()));
        }
    }
    forms
}

#[test]
fn a_secret_is_found_in_every_form_and_in_nothing_else() {
    let text = "kn\"own-Only~to?me\u{e9}";
    let secrets = [Secret::new("s", Seen::Never, text.as_bytes())];
    let search = Search::new(&secrets);
    for before in ["", "a", "ab", "abc"] {
        let around = format!("{before}{text}behind");
        for leak in [
            around.clone(),
            format!("{around:?}"),
            serde_json::Value::from(around.as_str()).to_string(),
            STANDARD_NO_PAD.encode(&around),
            URL_SAFE_NO_PAD.encode(&around),
            around.bytes().map(|byte| format!("{byte:02x}")).collect(),
            around.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            format!("{:?}", around.as_bytes()),
            serde_json::to_string(around.as_bytes()).unwrap(),
        ] {
            assert_eq!(search.of("here", leak.as_bytes()).len(), 1, "{leak}");
        }
    }
    let almost = "kn\"own-Onlx~to?me\u{e9}";
    for clean in [almost.to_owned(), STANDARD_NO_PAD.encode(almost), format!("{:?}", almost.as_bytes())] {
        assert!(search.of("here", clean.as_bytes()).is_empty(), "{clean}");
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, format!("{{{text}}}").as_bytes()).unwrap();
    let found = search.of("a layer", &packed.finish().unwrap());
    assert_eq!(found[0].to_string(), "s (raw) in a layer");
}
