//! Node: answers in pieces, from everything in that language that comes in pieces.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each, release, until};

/// The first lines with async generators, and with the web's streams as a global.
const HAS_ASYNC_GENERATORS: u8 = 10;
const HAS_WEB_STREAMS: u8 = 18;

/// What every version parses.
const STREAMS: &str = "
const fs = require('fs');
const stream = require('stream');
function released(then) {
  const timer = setInterval(function () { if (fs.existsSync('go')) { clearInterval(timer); then(); } }, 2); }
function Counting() { stream.Readable.call(this); this.count = 0; }
require('util').inherits(Counting, stream.Readable);
Counting.prototype._read = function () {
  this.count += 1;
  if (this.count === 3) return released(() => this.push('three'));
  this.push(this.count > 3 ? null : ['', 'one ', 'two '][this.count]); };
let produced = 0;
function* endless() {
  try { for (;;) { produced += 1; yield Buffer.alloc(65536, 'x'); } } finally { console.log('the generator is closed'); } }
exports.handle = function (event) {
  switch (event.path) {
    case '/generator': return (function* () { yield 'one '; yield ''; yield Buffer.from('two '); yield 'three'; })();
    case '/readable': return new Counting();
    case '/envelope': return {statusCode: 201, headers: {'X-Mine': 1, 'Content-Type': 'text/event-stream'},
      cookies: ['a=1', 'b=2'], body: new Counting()};
    case '/ahead': return (function* () { yield ''; throw new RangeError('after the head'); })();
    case '/empty': return (function* () {})();
    case '/early': return (function* () { throw new RangeError('before the first piece'); })();
    case '/late': return (function* () { yield 'first'; throw new RangeError('in the middle'); })();
    case '/object': return (function* () { yield {}; })();
    case '/endless': return endless();
    case '/produced': return String(produced);
    case '/destroyed': { const source = new stream.PassThrough(); source.write('first');
      released(() => source.destroy()); return source; }
  } };
";

const NEWER: &str = "
const before = exports.handle;
async function* steps() { try { yield 'one '; yield new Uint8Array([0x74, 0x77, 0x6f, 0x20]);
  await new Promise(released); yield 'three'; } finally { console.log('the steps are over'); } }
exports.handle = async function (event) {
  switch (event.path) {
    case '/async': return steps();
    case '/async-body': return {headers: {'X-Mine': 1}, body: steps()};
    case '/waits': return (async function* () { try { yield 'first'; for (;;) { await new Promise(r => setTimeout(r, 1)); yield '.'; } }
      finally { console.log('the waiting is over'); } })();
    case '/web': { const source = steps(); return new ReadableStream({
      async pull(controller) { const step = await source.next();
        if (step.done) controller.close(); else controller.enqueue(step.value); },
      cancel() { console.log('the web stream is cancelled'); }}); }
    default: return before(event);
  } };
";

fn start(language: Language) -> Shim {
    let has_newer = language.node_line() >= Some(HAS_ASYNC_GENERATORS);
    let source = if has_newer { format!("{STREAMS}{NEWER}") } else { STREAMS.to_owned() };
    Setup::new(language, &source).start()
}

/// One that waits in its middle: what came before is with the caller then.
fn comes_in_steps(shim: &Shim, path: &str, language: Language) {
    let mut stream = shim.send(Request::get(path)).stream();
    assert_eq!(stream.header("transfer-encoding"), Some("chunked"), "{language:?} {path}");
    let mut got = Vec::new();
    while got.len() < "one two ".len() {
        got.extend(stream.next().expect("a chunk"));
    }
    assert_eq!(String::from_utf8_lossy(&got), "one two ", "{language:?} {path}");
    release(shim);
    let (rest, is_cut, connection) = stream.rest();
    assert_eq!((String::from_utf8_lossy(&rest).as_ref(), is_cut), ("three", false), "{language:?} {path}");
    std::fs::remove_file(shim.code().join("go")).expect("the file");
    assert_eq!(connection.send(Request::get("/produced")).response().status, 200, "{language:?} {path}");
}

#[test]
fn pieces_reach_the_caller_as_they_come() {
    each(Language::nodes(), |language| {
        let shim = start(language);
        comes_in_steps(&shim, "/readable", language);
        if language.node_line() >= Some(HAS_ASYNC_GENERATORS) {
            comes_in_steps(&shim, "/async", language);
            comes_in_steps(&shim, "/async-body", language);
            shim.logged("the steps are over");
        }
        if language.node_line() >= Some(HAS_WEB_STREAMS) {
            comes_in_steps(&shim, "/web", language);
        }
        let whole = shim.get("/generator");
        assert_eq!((whole.status, whole.text()), (200, "one two three"), "{language:?}");
        assert_eq!(whole.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
        let empty = shim.get("/empty");
        assert_eq!(
            (empty.status, empty.text(), empty.header("content-type")),
            (200, "", None),
            "{language:?}"
        );
        release(&shim);
        let enveloped = shim.get("/envelope");
        assert_eq!((enveloped.status, enveloped.text()), (201, "one two three"), "{language:?}");
        assert_eq!(enveloped.header("x-mine").as_deref(), Some("1"));
        assert_eq!(enveloped.header("content-type").as_deref(), Some("text/event-stream"));
        assert_eq!(enveloped.header("set-cookie").as_deref(), Some("a=1 | b=2"));
    });
}

#[test]
fn an_error_before_the_first_piece_is_an_answer_and_later_a_cut() {
    each(Language::nodes(), |language| {
        let shim = start(language);
        let early = shim.get("/early");
        let expected =
            serde_json::json!({"errorMessage": "before the first piece", "errorType": "RangeError"});
        assert_eq!((early.status, early.json()), (500, expected), "{language:?}");
        let (got, is_cut, _) = shim.send(Request::get("/ahead")).stream().rest();
        assert_eq!((got.len(), is_cut), (0, true), "{language:?}: the head was sent ahead");
        let object = shim.get("/object");
        assert_eq!(object.status, 502, "{language:?} {object:?}");
        let (got, is_cut, _) = shim.send(Request::get("/late")).stream().rest();
        assert_eq!((String::from_utf8_lossy(&got).as_ref(), is_cut), ("first", true), "{language:?}");
        shim.logged("in the middle");
        if language.node_line() < Some(10) {
            // There a stream that is destroyed ends as if it were whole.
            return;
        }
        let stream = shim.send(Request::get("/destroyed")).stream();
        release(&shim);
        let (got, is_cut, _) = stream.rest();
        assert_eq!((String::from_utf8_lossy(&got).as_ref(), is_cut), ("first", true), "{language:?}");
    });
}

#[test]
fn a_slow_caller_holds_the_handler_up_and_one_that_goes_closes_it() {
    each(Language::nodes(), |language| {
        let shim = start(language);
        let mut stream = shim.send(Request::get("/endless")).stream();
        assert!(stream.next().is_some());
        let produced = || shim.get("/produced").text().parse::<usize>().expect("a number");
        let mut last = 0;
        until("no more is made", || std::mem::replace(&mut last, produced()) == last);
        // 64 KiB each: the credit, and what sockets hold.
        assert!((1..100).contains(&last), "{language:?}: {last} pieces for a caller that does not read");
        drop(stream);
        shim.logged("the generator is closed");
        if language.node_line() >= Some(HAS_ASYNC_GENERATORS) {
            let mut waits = shim.send(Request::get("/waits")).stream();
            assert!(waits.next().is_some());
            drop(waits);
            shim.logged("the waiting is over");
        }
    });
}

const STREAMIFIED: &str = "
const fs = require('fs');
const stream = require('stream');
exports.handle = awslambda.streamifyResponse((event, responseStream, context) => {
  const metadata = {statusCode: 202, headers: {'Content-Type': 'text/html', 'X-Id': context.awsRequestId}, cookies: ['a=1']};
  const wait = (then) => setTimeout(() => fs.existsSync('go') ? then() : wait(then), 2);
  switch (event.path) {
    case '/typed': responseStream.setContentType('text/html'); responseStream.write('one '); responseStream.write('two ');
      return new Promise((resolve) => wait(() => { responseStream.end('three'); resolve(); }));
    case '/from': responseStream = awslambda.HttpResponseStream.from(responseStream, metadata);
      responseStream.write('<p>'); responseStream.end('hello'); return Promise.resolve();
    case '/empty': awslambda.HttpResponseStream.from(responseStream, metadata).end(); return Promise.resolve();
    case '/prelude': responseStream.setContentType('application/vnd.awslambda.http-integration-response');
      responseStream.write(JSON.stringify(metadata).slice(0, 10)); responseStream.write(JSON.stringify(metadata).slice(10));
      responseStream.write(Buffer.alloc(8)); responseStream.end('hello'); return Promise.resolve();
    case '/large': return new Promise((resolve, reject) => {
      let left = 256;
      const source = new stream.Readable({read() { this.push(left-- > 0 ? Buffer.alloc(16384, 'x') : null); }});
      source.on('error', reject); source.pipe(responseStream).on('finish', resolve); });
    case '/early': return Promise.reject(new RangeError('before the first byte'));
    case '/throws': throw new RangeError('thrown');
    case '/late': responseStream.write('first'); return Promise.reject(new RangeError('in the middle'));
    case '/gone': responseStream.write('first'); responseStream.on('error', () => console.log('the stream is closed'));
      return new Promise(() => {});
  } });
";

#[test]
fn handlers_made_with_streamify_response_write_their_answer() {
    each(Language::nodes(), |language| {
        let shim = Setup::new(language, STREAMIFIED).start();
        for path in ["/from", "/prelude", "/empty"] {
            let answer = shim.call(Request::get(path).header("X-Request-Id", "r-1"));
            let body = match path {
                "/from" => "<p>hello",
                "/empty" => "",
                _ => "hello",
            };
            assert_eq!((answer.status, answer.text()), (202, body), "{language:?} {path}");
            assert_eq!(answer.header("content-type").as_deref(), Some("text/html"), "{language:?} {path}");
            assert_eq!(answer.header("set-cookie").as_deref(), Some("a=1"));
            assert_eq!(answer.header("x-id").as_deref(), Some("r-1"));
        }
        let large = shim.get("/large");
        assert_eq!((large.status, large.body.len()), (200, 256 * 16384), "{language:?}");
        assert_eq!(large.header("content-type").as_deref(), Some("application/octet-stream"));
        let mut typed = shim.send(Request::get("/typed")).stream();
        assert_eq!(typed.header("content-type"), Some("text/html"));
        assert!(typed.next().expect("a chunk").starts_with(b"one "), "{language:?}");
        release(&shim);
        assert!(typed.rest().0.ends_with(b"three"));
    });
}

#[test]
fn a_streaming_handler_that_fails_is_an_answer_before_the_first_byte_and_later_a_cut() {
    each(Language::nodes(), |language| {
        let shim = Setup::new(language, STREAMIFIED).start();
        for (path, message) in [("/early", "before the first byte"), ("/throws", "thrown")] {
            let answer = shim.get(path);
            assert_eq!(
                (answer.status, &answer.json()["errorMessage"]),
                (500, &message.into()),
                "{language:?}"
            );
        }
        let (got, is_cut, _) = shim.send(Request::get("/late")).stream().rest();
        assert_eq!((String::from_utf8_lossy(&got).as_ref(), is_cut), ("first", true), "{language:?}");
        let mut gone = shim.send(Request::get("/gone")).stream();
        assert!(gone.next().is_some());
        drop(gone);
        shim.logged("the stream is closed");
    });
}
