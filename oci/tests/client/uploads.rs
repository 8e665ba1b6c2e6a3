//! One blob's way into a registry that breaks, forgets, or wants it otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::client::{Client, ClientError, Options, Pushed, Retry};
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::{Digest, Image, ImageLayer};

use crate::raw::{Fault, Head, Raw, refused, status};
use crate::scripted::{anonymous, client};

const PUT: &str = "PUT uploads/N";
const PATCH: &str = "PATCH uploads/N";
const GET: &str = "GET uploads/N";
const POST: &str = "POST /v2/a/blobs/uploads/";
const MIB: usize = 1 << 20;

/// A layer that no two places of are alike.
fn bytes(length: usize) -> Bytes {
    let mut state = 1_u64;
    let next = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 56) as u8
    };
    (0..length).map(|_| next(&mut state)).collect()
}

fn image(layer: Bytes) -> Image {
    let layer = MemoryLayer::gzip(layer, Digest::of(b"tar"));
    Image::assemble(ImageConfig::default(), vec![ImageLayer::new(Arc::new(layer))], BTreeMap::new())
}

/// Whether a request is about the layer: the only blob of a mebibyte and more.
fn is_large(head: &Head) -> bool {
    head.header("content-length").is_some_and(|length| length.len() > 5)
}

async fn pushes(server: &Raw, with: &Client, length: usize) -> Pushed {
    let image = image(bytes(length));
    let pushed = with.push(&image, &server.reference("a:1")).await.unwrap();
    assert!(server.has(image.layers[0].layer.digest()), "the layer");
    assert!(server.has(&Digest::of(&image.config)) && server.has_manifest("1"), "the rest");
    pushed
}

fn count(server: &Raw, line: &str) -> usize {
    server.seen(line).len()
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_body_goes_on_where_it_broke() {
    let breaks =
        |head: &Head, _: usize| (head.line == PUT && is_large(head)).then_some(Fault::Reset(3 * MIB));
    let server = Raw::start(breaks);
    pushes(&server, &anonymous(), 4 * MIB).await;
    // Session, broken PUT, question, the rest, end; then the configuration.
    let [rest] = server.seen(PATCH).try_into().unwrap();
    let (from, to) = (3 * MIB, 4 * MIB - 1);
    assert_eq!(rest.header("content-range"), Some(&*format!("{from}-{to}")));
    assert_eq!(rest.header("content-length"), Some(&*MIB.to_string()));
    assert_eq!((count(&server, POST), count(&server, GET), count(&server, PUT)), (2, 1, 3));
}

#[tokio::test]
async fn of_a_small_blob_too_only_the_rest_is_sent_after_a_break() {
    let server = Raw::start(|head, before| {
        let layer = head.header("content-length") == Some("1000");
        (head.line == PUT && layer && before == 0).then_some(Fault::Reset(400))
    });
    pushes(&server, &anonymous(), 1000).await;
    let [rest] = server.seen(PATCH).try_into().unwrap();
    assert_eq!((rest.header("content-range"), rest.header("content-length")), (Some("400-999"), Some("600")));
}

#[tokio::test]
async fn many_breaks_are_survived_as_long_as_it_goes_on() {
    // More breaks than attempts: each comes after another mebibyte.
    let breaks = |head: &Head, _: usize| {
        (matches!(&*head.line, PUT | PATCH) && is_large(head)).then_some(Fault::Reset(MIB))
    };
    let server = Raw::start(breaks);
    pushes(&server, &anonymous(), 8 * MIB).await;
    assert_eq!((count(&server, POST), count(&server, GET)), (2, 8));
}

#[tokio::test]
async fn breaks_without_progress_end() {
    let breaks = |head: &Head, _: usize| {
        (matches!(&*head.line, PUT | PATCH) && is_large(head)).then_some(Fault::Reset(2))
    };
    let server = Raw::start(breaks);
    let error = anonymous().push(&image(bytes(2 * MIB)), &server.reference("a:1")).await.unwrap_err();
    assert!(matches!(error, ClientError::Transport { .. }), "{error}");
    assert_eq!(count(&server, PUT) + count(&server, PATCH), 4);
    assert!(!server.has_manifest("1"));
}

#[tokio::test]
async fn a_registry_that_cannot_say_how_far_it_got_is_sent_all_again() {
    let server = Raw::start(|head, before| match (&*head.line, before) {
        (PUT, 0) if is_large(head) => Some(Fault::Reset(MIB)),
        (GET, _) => Some(Fault::Answer(refused("400 Bad Request", "BLOB_UPLOAD_INVALID"))),
        _ => None,
    });
    pushes(&server, &anonymous(), 2 * MIB).await;
    assert_eq!((count(&server, POST), count(&server, PUT), count(&server, PATCH)), (3, 3, 0));
}

#[tokio::test]
async fn an_answer_that_was_lost_costs_a_question_and_no_bytes() {
    let server = Raw::start(|head, before| (head.line == PUT && before == 0).then_some(Fault::Lost));
    let pushed = pushes(&server, &anonymous(), 2 * MIB).await;
    assert_eq!(pushed.present, 1, "found with HEAD");
    assert_eq!(server.seen(PUT).iter().filter(|head| is_large(head)).count(), 1);
}

#[tokio::test]
async fn a_session_that_is_forgotten_is_replaced() {
    for code in ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"] {
        for line in ["404 Not Found", "400 Bad Request"] {
            let server = Raw::start(move |head, before| {
                (head.line == PUT && before == 0).then(|| Fault::Answer(refused(line, code)))
            });
            pushes(&server, &anonymous(), 1000).await;
            assert_eq!(count(&server, POST), 3, "{line} {code}");
        }
    }
}

#[tokio::test]
async fn where_a_put_has_no_body_a_patch_has_it() {
    for code in ["404 Not Found", "405 Method Not Allowed", "411 Length Required", "501 Not Implemented"] {
        let server = Raw::start(move |head, _| {
            let bodied = head.line == PUT && head.header("content-length") != Some("0");
            bodied.then(|| Fault::Answer(status(code, "")))
        });
        pushes(&server, &anonymous(), 2 * MIB).await;
        // What the first blob showed holds for the second.
        assert_eq!((count(&server, PATCH), count(&server, PUT)), (2, 3), "{code}");
        assert!(server.seen(PATCH).iter().all(|head| head.header("content-range").is_none()));
    }
}

#[tokio::test]
async fn what_is_too_large_at_once_goes_in_pieces() {
    let server = Raw::start(|head, _| {
        let length: usize = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        (length > 3 * MIB).then(|| Fault::Answer(status("413 Content Too Large", "")))
    });
    pushes(&server, &anonymous(), 5 * MIB).await;
    let sizes: Vec<_> =
        server.seen(PATCH).iter().map(|head| head.header("content-length").unwrap().to_owned()).collect();
    // 5 (8 is more than there is), 4, then 2 + 2 + 1; the configuration last.
    let sizes: Vec<usize> = sizes.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(sizes[..5], [5 * MIB, 4 * MIB, 2 * MIB, 2 * MIB, MIB]);
    assert_eq!(server.seen(PATCH)[3].header("content-range"), Some("2097152-4194303"));
}

#[tokio::test]
async fn pieces_are_as_large_as_the_registry_wants_them() {
    let server = Raw::start(|head, before| {
        let length: usize = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        match &*head.line {
            POST => Some(Fault::Answer(status(
                "202 Accepted",
                &format!("Location: /u/{before}\r\nOCI-Chunk-Min-Length: {}\r\n", 3 * MIB),
            ))),
            _ if length > 4 * MIB => Some(Fault::Answer(status("413 Content Too Large", ""))),
            _ => None,
        }
    });
    // The script opens sessions that the server does not know: only the sizes are of interest.
    let _ = anonymous().push(&image(bytes(10 * MIB)), &server.reference("a:1")).await;
    let sizes: Vec<String> = server
        .seen(PATCH)
        .iter()
        .filter_map(|head| head.header("content-length").map(str::to_owned))
        .collect();
    assert!(sizes.contains(&(4 * MIB).to_string()), "{sizes:?}");
    assert!(sizes.iter().all(|size| size.parse::<usize>().unwrap() >= 3 * MIB), "{sizes:?}");
}

#[tokio::test]
async fn a_registry_that_is_elsewhere_than_the_client_thinks_is_asked() {
    let server = Raw::start(|head, before| {
        let length: usize = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        match (&*head.line, before) {
            (PUT, _) if length > 0 => Some(Fault::Answer(status("413 Content Too Large", ""))),
            // One piece is taken in part and refused.
            (PATCH, 1) => Some(Fault::Reset(MIB)),
            (PATCH, 3) => Some(Fault::Answer(status("416 Range Not Satisfiable", ""))),
            _ => None,
        }
    });
    pushes(&server, &anonymous(), 20 * MIB).await;
    assert!(count(&server, GET) >= 2);
}

#[tokio::test]
async fn a_slow_registry_is_waited_for_as_long_as_it_takes_bytes() {
    let patient = |silence| {
        let retry = Retry { attempts: 1, silence, ..Retry::default() };
        Client::new(Options { plain_http: true, retry, ..Options::default() }).unwrap()
    };
    // 16 MiB in pieces of 256 KiB with pauses: four seconds in all, more than a silence and what the system buffers.
    let slow = |head: &Head, _: usize| (head.line == PUT && is_large(head)).then_some(Fault::Slow);
    pushes(&Raw::start(slow), &patient(Duration::from_secs(2)), 16 * MIB).await;
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_given_up() {
    let retry = Retry { attempts: 1, silence: Duration::from_millis(300), ..Retry::default() };
    let client = Client::new(Options { plain_http: true, retry, ..Options::default() }).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let reference = format!("{}/a:1", listener.local_addr().unwrap()).parse().unwrap();
    let started = std::time::Instant::now();
    let error = client.push(&image(bytes(1000)), &reference).await.unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
    drop(listener);
}

#[tokio::test]
async fn answers_that_end_with_the_connection_are_answers() {
    let server = Raw::start(|_, _| Some(Fault::Old));
    pushes(&server, &anonymous(), 2 * MIB).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_again() {
    let cut = "HTTP/1.1 202 Accepted\r\nLocation: /u/";
    let server = Raw::start(move |head, before| match (&*head.line, before) {
        (POST, 0) => Some(Fault::Lost),
        (POST, 1) => Some(Fault::Answer(format!("{cut}0\r\nContent-Length: 10\r\n\r\nabc"))),
        _ => None,
    });
    // A head is enough to go on; its body is not read.
    pushes(&server, &anonymous(), 1000).await;
}

#[tokio::test]
async fn a_blob_that_a_registry_stored_as_something_else_is_an_error() {
    let other = Digest::of(b"other");
    let server = Raw::start(move |head, _| {
        let echo = format!("Docker-Content-Digest: {other}\r\n");
        (head.line == PUT).then(|| Fault::Answer(status("201 Created", &echo)))
    });
    let error = anonymous().push(&image(bytes(10)), &server.reference("a:1")).await.unwrap_err();
    assert!(matches!(error, ClientError::DigestMismatch { .. }), "{error}");
    assert!(!server.has_manifest("1"));
}

#[tokio::test]
async fn five_faults_in_one_push_are_survived() {
    // A wait that is asked for, a bad gateway, a break in the body, a token that ended, a mount that is denied.
    let server = Raw::start(|head, before| match (&*head.line, before) {
        (line, _) if line.starts_with("GET /token") => {
            let token = format!(r#"{{"token":"t{before}","expires_in":300}}"#);
            Some(Fault::Answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{token}", token.len())))
        }
        (_, _) if !head.header("authorization").is_some_and(|shown| shown.starts_with("Bearer t")) => {
            Some(Fault::Answer(challenge(head)))
        }
        (POST, _) if head.target.contains("from=base") => {
            Some(Fault::Answer(refused("403 Forbidden", "DENIED")))
        }
        (POST, 2) => Some(Fault::Answer(status("429 Too Many Requests", "Retry-After: 1\r\n"))),
        (PUT, 0) if is_large(head) => Some(Fault::Reset(MIB)),
        (PATCH, 0) => Some(Fault::Answer(challenge(head))),
        ("PUT /v2/a/manifests/1", 0) => Some(Fault::Answer(status("502 Bad Gateway", ""))),
        _ => None,
    });
    let mut image = image(bytes(2 * MIB));
    image.layers[0].mount_from = Some("base".to_owned());
    let me = client(oci::client::Credentials::Basic { user: "me".into(), password: "p".into() });
    me.push(&image, &server.reference("a:1")).await.unwrap();
    assert!(server.has(image.layers[0].layer.digest()) && server.has_manifest("1"));
    let lines = server.lines();
    let tokens = lines.iter().filter(|line| line.starts_with("GET /token")).count();
    assert!(tokens >= 2, "{lines:?}");
    for (line, least) in [(GET, 1), (PATCH, 2), ("PUT /v2/a/manifests/1", 2)] {
        assert!(count(&server, line) >= least, "{line}: {lines:?}");
    }
}

fn challenge(head: &Head) -> String {
    let host = head.header("host").unwrap();
    status("401 Unauthorized", &format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\"\r\n"))
}
