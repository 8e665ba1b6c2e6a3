//! Any bytes, any headers, many connections, large bodies.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each, until};

/// Runs a property against one shim.
fn holds<S: Strategy>(cases: u32, values: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(values, check);
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

const ECHO_NODE: &str = "exports.handle = async function (event) {
    return {body: event.body, isBase64Encoded: event.isBase64Encoded}; };";
const ECHO_PYTHON: &str = "def handle(event, context):
    return {'body': event['body'], 'isBase64Encoded': event['isBase64Encoded']}
";

fn echo(language: Language) -> Shim {
    Setup::new(language, if language.key() == "node" { ECHO_NODE } else { ECHO_PYTHON }).start()
}

/// Bytes that look random but depend on `seed` alone: all values, or text of characters of one to four bytes.
fn bytes(seed: u64, length: usize, is_text: bool) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    if !is_text {
        return (0..length).map(|_| next().to_le_bytes()[3]).collect();
    }
    let letters = ['a', '"', '\\', '\0', '\n', '\u{7f}', '\u{e9}', '\u{2028}', '\u{20ac}', '\u{1f600}'];
    let mut text = String::new();
    while text.len() < length {
        text.push(letters[usize::try_from(next() >> 33).expect("small") % letters.len()]);
    }
    text.into_bytes()
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![2 => 0_usize..200, 2 => 200_usize..70_000, 1 => 70_000_usize..=1 << 20];
    (any::<u64>(), length, any::<bool>()).prop_map(|(seed, length, is_text)| bytes(seed, length, is_text))
}

#[test]
fn any_bytes_in_are_the_same_bytes_out() {
    for language in Language::framed() {
        let shim = echo(language);
        let pieces = prop::collection::vec(any::<prop::sample::Index>(), 0..5);
        holds(40, &(any_body(), pieces, any::<bool>()), |(body, pieces, is_chunked)| {
            let mut cuts: Vec<usize> = pieces.iter().map(|cut| cut.index(body.len() + 1)).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).filter(|part| !part.is_empty());
            let mut connection = shim.connect().expect("a listener");
            if is_chunked {
                connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
                for part in parts {
                    connection.write(format!("{:x}\r\n", part.len()).as_bytes());
                    connection.write(part);
                    connection.write(b"\r\n");
                }
                connection.write(b"0\r\n\r\n");
            } else {
                let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
                connection.write(head.as_bytes());
                parts.for_each(|part| connection.write(part));
            }
            let answer = connection.raw(b"", "POST").response();
            prop_assert_eq!(answer.status, 200);
            prop_assert!(answer.body == body, "{} bytes came back as {}", body.len(), answer.body.len());
            Ok(())
        });
    }
}

#[test]
fn large_text_comes_whole_whatever_its_share_of_other_characters() {
    const PLAIN: usize = 45_000;
    each(Language::oldest_and_newest_nodes(), |language| {
        let shim = echo(language);
        let last = ["", "\u{e9}", "\u{20ac}", "\u{1f600}"];
        // About an eighth more bytes than characters, and all of them.
        for (other, counts) in [
            ("\u{e9}", 6_400..6_460),
            ("\u{20ac}", 2_990..3_010),
            ("\u{1f600}", 3_200..3_220),
            ("\u{20ac}", 20_000..20_001),
        ] {
            for count in counts {
                let body = "x".repeat(PLAIN) + &other.repeat(count) + last[count % last.len()];
                let answer = shim.call(Request::new("POST", "/").body(body.clone()));
                assert!(answer.body == body.as_bytes(), "{language:?}: {count} of {other}");
            }
        }
    });
}

/// A value as HTTP carries it: Latin-1 without control characters, no white space at its ends.
fn header_value() -> impl Strategy<Value = String> {
    let characters =
        prop_oneof![prop::char::range(' ', '~'), prop::char::range('\u{80}', '\u{ff}'), Just('\t')];
    let text = prop::collection::vec(characters, 0..30).prop_map(|all| all.into_iter().collect::<String>());
    text.prop_map(|text| text.trim_matches([' ', '\t']).to_owned())
}

/// Values by name, in order: lower case, since names are the same in any case.
fn by_name(headers: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-p")) {
        all.entry(name.to_ascii_lowercase()).or_default().push(value.clone());
    }
    all
}

#[test]
fn any_headers_make_the_round_trip() {
    for (language, source) in [
        (
            Language::Node,
            "exports.handle = async function (event) { const back = {};
               for (const name in event.multiValueHeaders) {
                 if (name.startsWith('X-P')) back[name] = event.multiValueHeaders[name]; }
               return {statusCode: 200, multiValueHeaders: back}; };",
        ),
        (
            Language::Python,
            "def handle(event, context):\n    return {'statusCode': 200, 'multiValueHeaders': dict((name, values) \
             for name, values in event['multiValueHeaders'].items() if name.startswith('X-P'))}\n",
        ),
    ] {
        let shim = Setup::new(language, source).start();
        // Few names, so that many come more than once.
        let name = prop_oneof!["[xX]-[pP][a-c]?", "X-P[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}"];
        let headers = prop::collection::vec((name, header_value()), 0..40);
        holds(60, &headers, |headers| {
            let request = headers.iter().fold(Request::get("/"), |request, (n, v)| request.header(n, v));
            let answer = shim.call(request);
            prop_assert_eq!(answer.status, 200, "{:?}", answer);
            prop_assert_eq!(by_name(&answer.headers), by_name(&headers));
            Ok(())
        });
    }
}

/// A number of `/proc/<pid>/status`, in KiB.
fn status(shim: &Shim, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", shim.pid())).expect("a process");
    let line = text.lines().find(|line| line.starts_with(key)).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// The soft limit in `/proc/<pid>/limits`.
fn open_files(limits: &str) -> u64 {
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    line.split_whitespace().nth(3).expect("a number").parse().expect("a number")
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_others_are_served() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const CONNECTIONS: usize = 10_000;
    let source = "def handle(event, context):\n    return open('/proc/self/limits').read()\n";
    let ours = getrlimit(Resource::Nofile);
    // It takes what it may have by itself; what it was started with is its worker's.
    let shim = Setup::new(Language::Python, source).started_with_descriptors(700).start();
    assert_eq!(open_files(shim.get("/").text()), 700);
    setrlimit(Resource::Nofile, Rlimit { current: ours.maximum, ..ours }).expect("a limit");
    let before = status(&shim, "VmRSS");
    // Half have never said a word, half were answered once.
    let mut idle: Vec<_> = (0..CONNECTIONS / 2).map(|_| shim.connect().expect("a listener")).collect();
    for _ in 0..CONNECTIONS / 2 {
        let connection = shim.connect().expect("a listener");
        let (answer, rest) = connection.send(Request::get("/")).response_and_rest();
        assert_eq!(answer.status, 200);
        idle.push(rest);
    }
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", shim.pid())).expect("a list").count();
    until("all are accepted", || descriptors() > CONNECTIONS);
    for _ in 0..100 {
        assert_eq!(shim.get("/").status, 200);
    }
    let each = (status(&shim, "VmRSS") - before) / CONNECTIONS as u64;
    assert!(each < 24, "{each} KiB for each connection");
    // Each of them still works.
    for connection in idle.drain(..).step_by(500) {
        assert_eq!(connection.send(Request::get("/")).response().status, 200);
    }
    until("all are closed", || descriptors() < 100);
}

#[test]
fn a_body_of_100_mib_is_refused_before_it_is_read_and_takes_no_memory() {
    const LENGTH: usize = 100 << 20;
    let shim = echo(Language::Node);
    let chunk = [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
    let before = status(&shim, "VmHWM");
    for on_time in [true, false] {
        for head in [format!("Content-Length: {LENGTH}"), "Transfer-Encoding: chunked".into()] {
            let mut connection = shim.connect().expect("a listener");
            connection.write(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n").as_bytes());
            // The limit is 6 MiB. A polite caller waits for the answer, a rude one writes until it is cut off.
            let part = if head.starts_with('C') { &chunk[8..] } else { &chunk[..] };
            for _ in 0..if on_time { 7 } else { 100 } {
                connection.write(part);
            }
            let answer = connection.raw(b"", "POST").response();
            assert_eq!(
                (answer.status, answer.header("connection").as_deref()),
                (413, Some("close")),
                "{head}"
            );
            assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Request.Body"));
        }
    }
    assert_eq!(shim.get("/").status, 200);
    let grown = status(&shim, "VmHWM") - before;
    assert!(grown < 48 << 10, "{grown} KiB");
}

#[test]
fn an_answer_of_50_mb_arrives_whole() {
    for (language, source) in [
        (Language::Node, "exports.handle = async function () { return 'zipship '.repeat(6250000); };"),
        (Language::Python, "def handle(event, context):\n    return 'zipship ' * 6250000\n"),
    ] {
        let answer = Setup::new(language, source).start().get("/");
        assert_eq!(
            (answer.status, answer.body.len(), answer.is_cut),
            (200, 50_000_000, false),
            "{language:?}"
        );
        assert!(answer.body.chunks(8).all(|part| part == b"zipship "), "{language:?}");
    }
}
