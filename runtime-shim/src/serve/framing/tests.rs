use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Latin-1.
    bytes: String,
    answers: Vec<u16>,
}

/// The same cases that the tests send to the whole shim.
fn corpus() -> Vec<(String, Vec<u8>, bool)> {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../../tests/shim/smuggling.json")).expect("cases");
    let latin1 = |text: &str| text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect();
    cases.iter().map(|c| (c.name.clone(), latin1(&c.bytes), c.answers.contains(&400))).collect()
}

/// Longer than any head here.
const LONGEST_HEAD: usize = 10_000;

/// Reads in pieces. What was passed on, and why it ended.
fn read(pieces: &[&[u8]]) -> (Vec<u8>, Option<Violation>, Stage) {
    let mut framing = Framing::new(LONGEST_HEAD);
    let (mut through, mut held) = (Vec::new(), Vec::new());
    for piece in pieces {
        let (passed, violation) = match framing.read(piece) {
            Ok(passed) => (passed, None),
            Err(refused) => (refused.at, Some(refused.violation)),
        };
        held.extend_from_slice(&piece[..passed]);
        if passed > 0 {
            through.append(&mut held);
        }
        if violation.is_some() {
            return (through, violation, framing.stage());
        }
        held.extend_from_slice(&piece[passed..]);
    }
    (through, None, framing.stage())
}

#[test]
fn every_case_of_the_corpus_is_judged_the_same_however_it_is_split() {
    for (name, bytes, is_refused) in corpus() {
        let (whole, violation, stage) = read(&[&bytes]);
        assert_eq!(violation.is_some(), is_refused, "{name}: {violation:?}");
        assert!(!is_refused || !whole.windows(9).any(|part| part == b"/smuggled"), "{name}");
        assert!(is_refused || stage == Stage::Between, "{name}: {stage:?}");
        for at in 1..bytes.len() {
            let (through, split, _) = read(&[&bytes[..at], &bytes[at..]]);
            assert_eq!(split, violation, "{name}, split at {at}");
            // A part of a bad line of a body may have gone through before it was bad, but no line's end.
            let more = through.strip_prefix(&whole[..]).unwrap_or_default();
            assert!(through.len() < whole.len() || !more.contains(&b'\n'), "{name}, split at {at}");
        }
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&bytewise).1, violation, "{name}, byte by byte");
    }
}

#[test]
fn of_a_head_nothing_comes_through_before_its_end() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for before in [&b""[..], b"\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"] {
        for at in 0..head.len() {
            let bytes = [before, &head[..at]].concat();
            assert_eq!(read(&[&bytes]).0, before, "{at}");
            let bad = [&bytes[..], b"\0\n"].concat();
            for cut in 0..bad.len() {
                let (through, violation, _) = read(&[&bad[..cut], &bad[cut..]]);
                assert_eq!((through.len(), violation.is_some()), (before.len(), true), "{at}, cut at {cut}");
            }
        }
    }
}

#[test]
fn a_head_has_a_longest_length_and_a_largest_number_of_headers() {
    let padded = |length: usize| {
        let (start, end) = (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n\r\n");
        let padding = vec![b'x'; length - start.len() - end.len()];
        [start.as_slice(), &padding, end].concat()
    };
    let numbered = |count: usize| {
        let others = "X: y\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: a\r\n{others}\r\n").into_bytes()
    };
    for (bytes, expected) in [
        (padded(LONGEST_HEAD), None),
        (padded(LONGEST_HEAD + 1), Some(Violation::LongHead)),
        // The limit is each head's, whatever came before it.
        ([padded(LONGEST_HEAD), b"\r\n\r\n".to_vec(), padded(LONGEST_HEAD)].concat(), None),
        (numbered(100), None),
        (numbered(101), Some(Violation::ManyHeaders)),
    ] {
        for cut in [1, 7, 1000, bytes.len()] {
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            assert_eq!(read(&pieces).1, expected, "{} bytes by {cut}", bytes.len());
        }
    }
}

#[test]
fn http_2_goes_through_whatever_follows_its_preface() {
    let bytes = [PREFACE, b"\0\0\0\x04\0\0\0\0\0\n\n"].concat();
    for at in 0..bytes.len() {
        let (through, violation, _) = read(&[&bytes[..at], &bytes[at..]]);
        assert_eq!((through.len(), violation), (bytes.len(), None), "split at {at}");
    }
}

#[test]
fn stages_tell_what_is_waited_for() {
    for (bytes, stage) in [
        (&b""[..], Stage::Fresh),
        (b"P", Stage::Head(0)),
        (b"GET / HTTP/1.1\r\n", Stage::Head(0)),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Stage::Between),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nG", Stage::Head(1)),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", Stage::Body),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Stage::Body),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", Stage::Body),
        (PREFACE, Stage::Between),
    ] {
        assert_eq!(read(&[bytes]).2, stage, "{:?}", String::from_utf8_lossy(bytes));
    }
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        Just(b"\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec())
    ]
}

/// A request that keeps every rule.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let header = ("[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}X", "[ -~]{0,20}");
    let headers = prop::collection::vec(header, 0..4);
    let chunks =
        prop::collection::vec(body().prop_filter("the last chunk is empty", |b| !b.is_empty()), 0..4);
    (headers, prop_oneof![body().prop_map(Ok), chunks.prop_map(Err)]).prop_map(|(headers, body)| {
        let mut out = b"POST /a?b HTTP/1.1\r\nHost: a:1\r\n".to_vec();
        for (name, value) in headers {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        match body {
            Ok(body) => {
                out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
                out.extend(body);
            }
            Err(chunks) => {
                out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in chunks {
                    out.extend(format!("{:X};x\r\n", chunk.len()).into_bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\nX: y\r\n\r\n");
            }
        }
        out
    })
}

proptest! {
    #[test]
    fn valid_requests_in_a_row_go_through_in_any_pieces(
        requests in prop::collection::vec(request(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = requests.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (through, violation, stage) = read(&pieces);
        prop_assert_eq!(violation, None);
        prop_assert_eq!(through, bytes);
        prop_assert_eq!(stage, Stage::Between);
    }

    #[test]
    fn any_bytes_are_judged_the_same_in_any_pieces(
        bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 1..120),
        valid in request(),
        cut in any::<prop::sample::Index>(),
    ) {
        for bytes in [bytes.clone(), [valid, bytes].concat()] {
            let at = cut.index(bytes.len());
            prop_assert_eq!(read(&[&bytes[..at], &bytes[at..]]).1, read(&[&bytes]).1);
        }
    }
}
