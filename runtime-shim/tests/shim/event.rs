//! The golden event, as a handler of each language sees it.

use serde_json::{Value, json};

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each};

fn echo(language: Language) -> Shim {
    let source = match language.key() {
        "node" => "exports.handle = function (event) { return Promise.resolve({body: {event: event}}); };",
        _ => "def handle(event, context):\n    return {'body': {'event': event}}\n",
    };
    Setup::new(language, source).start()
}

fn golden_request() -> Request {
    Request::new("POST", "/a%20b?x=1&x=2&y=")
        .header("x-tag", "1")
        .header("X-Tag", "2")
        .body("hé")
        .header("X-Forwarded-For", "127.0.0.1")
        .header("X-Forwarded-Host", "127.0.0.1:8080")
        .header("X-Forwarded-Proto", "http")
        .header("X-Forwarded-Prefix", "/f/0b5e7a52-3c5c-4b1e-9d0a-0e6f1f5b7c11")
        .header("X-Request-Id", "golden-1")
}

/// The clock's two fields are checked for their form, then set to the golden file's.
fn with_golden_clock(mut event: Value) -> Value {
    let context = &mut event["requestContext"];
    assert!(context["requestTimeEpoch"].as_u64().expect("a number") > 1_700_000_000_000, "{context}");
    assert!(context["requestTime"].as_str().expect("text").ends_with(" +0000"), "{context}");
    context["requestTime"] = json!("23/Nov/2026:12:00:00 +0000");
    context["requestTimeEpoch"] = json!(1_795_435_200_000_u64);
    event
}

#[test]
fn a_handler_sees_the_golden_event() {
    let golden: Value = serde_json::from_str(include_str!("../../golden/event.json")).expect("golden file");
    each(Language::framed(), |language| {
        let answer = echo(language).call(golden_request());
        assert_eq!(with_golden_clock(answer.json()["event"].clone()), golden, "{language:?}");
    });
}

#[test]
fn over_a_tcp_socket_that_was_inherited_the_event_is_the_same() {
    let golden: Value = serde_json::from_str(include_str!("../../golden/event.json")).expect("golden file");
    let source = "exports.handle = function (event) { return {body: event}; };";
    let shim = Setup::new(Language::Node, source).start_on_tcp();
    assert_eq!(with_golden_clock(shim.call(golden_request()).json()), golden);
}

#[test]
fn on_a_port_of_its_own_nobody_is_believed() {
    let source = "exports.handle = function (event) { return {body: event}; };";
    let event = Setup::new(Language::Node, source).start_on_port().call(golden_request()).json();
    assert_eq!(event["requestContext"]["identity"]["sourceIp"], "127.0.0.1");
    assert_eq!(event["headers"]["X-Forwarded-For"], Value::Null);
}

#[test]
fn bytes_survive_the_way_in_and_out() {
    // Every byte, so not UTF-8, and long enough for many reads.
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    each(Language::framed(), |language| {
        let source = match language.key() {
            "node" => {
                "exports.handle = function (event) {
                   if (event.isBase64Encoded !== true) throw new Error('text');
                   return {body: event.body, isBase64Encoded: true}; };"
            }
            _ => {
                "def handle(event, context):\n    assert event['isBase64Encoded'] is True\n    \
                 return {'body': event['body'], 'isBase64Encoded': True}\n"
            }
        };
        let answer = Setup::new(language, source).start().call(Request::new("POST", "/").body(bytes.clone()));
        assert_eq!((answer.status, answer.body == bytes), (200, true), "{language:?}");
        assert_eq!(answer.header("content-type").as_deref(), Some("application/octet-stream"));
    });
}

#[test]
fn a_context_tells_what_the_platform_and_aws_tell() {
    each(Language::framed(), |language| {
        let source = match language.key() {
            "node" => {
                "exports.handle = function (event, c) { return {body: [c.memoryLimitInMb, c.memoryLimitInMB, \
                 c.functionName, c.functionVersion, c.awsRequestId, c.callbackWaitsForEmptyEventLoop, \
                 c.getRemainingTimeInMillis() > 50000 && c.getRemainingTimeInMillis() <= 60000]}; };"
            }
            _ => {
                "def handle(event, c):\n    left = c.get_remaining_time_in_millis()\n    return {'body': [\
                 c['memoryLimitInMb'], str(c.memory_limit_in_mb), c['functionName'], c['functionVersion'], \
                 c.aws_request_id, c.function_name == 'f', 50000 < left <= 60000]}\n"
            }
        };
        let setup =
            Setup::new(language, source).set("SCW_APPLICATION_NAME", "f").set("SCW_TIMEOUT_MS", "60000");
        let shim = setup.set("SCW_APPLICATION_MEMORY", "512").set("SCW_APPLICATION_VERSION", "3").start();
        let answer = shim.call(Request::get("/").header("X-Request-Id", "r-1"));
        assert_eq!(answer.json(), json!([512, "512", "f", "3", "r-1", true, true]), "{language:?}");
    });
}
