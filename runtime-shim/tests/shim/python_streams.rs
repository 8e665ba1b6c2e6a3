//! Python's iterators as streams, plain and asynchronous ones.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each, release, until};

const PLAIN: &str = "# -*- coding: utf-8 -*-
import os, time
def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.002)
def steps():
    yield 'one '
    wait_for('go')
    yield b'two '
    yield bytearray(b'thr\\xc3\\xa9\\xc3\\xa9')
def endless(name):
    try:
        count = 0
        while True:
            yield b'x' * 100000
            count += 1
            with open(name + '-count', 'w') as file:
                file.write(str(count))
    finally:
        open(name + '-closed', 'w').close()
class Items(object):
    def __init__(self):
        self.left = 3
    def __iter__(self):
        return self
    def __next__(self):
        self.left -= 1
        if self.left < 0:
            raise StopIteration()
        return str(self.left)
    next = __next__
    def close(self):
        open('items-closed', 'w').close()
def breaks():
    yield 'begun'
    raise KeyError('midway')
def fails():
    raise LookupError('at once')
    yield
def handle(event, context):
    path = event['path']
    if path == '/steps':
        return steps()
    if path == '/envelope':
        return {'statusCode': 201, 'headers': {'Content-Type': 'text/event-stream', 'X-A': '1'}, 'body': iter(['data: 1\\n\\n', 'data: 2\\n\\n'])}
    if path == '/endless':
        return endless('plain')
    if path == '/items':
        return {'body': Items()}
    if path == '/breaks':
        return breaks()
    if path == '/fails':
        return fails()
    if path == '/wrong':
        return iter([1])
    if path == '/wrong-later':
        return iter(['fine', {}])
    if path == '/empty':
        return iter([])
    if path == '/base64':
        return {'body': iter(['eA==']), 'isBase64Encoded': True}
    if path == '/large':
        return iter([b'abcdefgh' * 131072] * 3)
    if path == '/head-first':
        return head_first()
    return str(os.getpid())
def head_first():
    yield ''
    wait_for('go')
    yield 'later'
";

const ASYNCHRONOUS: &str = "
import asyncio, os
async def wait_for(name):
    while not os.path.exists(name):
        await asyncio.sleep(0.002)
async def steps():
    yield 'one '
    await wait_for('go')
    yield b'two '
    yield bytearray(b'thr\\xc3\\xa9\\xc3\\xa9')
async def endless(name):
    try:
        count = 0
        while True:
            yield b'x' * 100000
            count += 1
            with open(name + '-count', 'w') as file:
                file.write(str(count))
    finally:
        open(name + '-closed', 'w').close()
class Items(object):
    def __init__(self):
        self.left = 3
    def __aiter__(self):
        return self
    async def __anext__(self):
        self.left -= 1
        if self.left < 0:
            raise StopAsyncIteration()
        return str(self.left)
    async def aclose(self):
        open('items-closed', 'w').close()
async def each(*items):
    for item in items:
        yield item
async def breaks():
    yield 'begun'
    raise KeyError('midway')
async def fails():
    raise LookupError('at once')
    yield
async def head_first():
    yield ''
    await wait_for('go')
    yield 'later'
def answer(path):
    if path == '/steps':
        return steps()
    if path == '/envelope':
        return {'statusCode': 201, 'headers': {'Content-Type': 'text/event-stream', 'X-A': '1'}, 'body': each('data: 1\\n\\n', 'data: 2\\n\\n')}
    if path == '/endless':
        return endless('plain')
    if path == '/items':
        return {'body': Items()}
    if path == '/breaks':
        return breaks()
    if path == '/fails':
        return fails()
    if path == '/wrong':
        return each(1)
    if path == '/wrong-later':
        return each('fine', {})
    if path == '/empty':
        return each()
    if path == '/base64':
        return {'body': each('eA=='), 'isBase64Encoded': True}
    if path == '/large':
        return each(*[b'abcdefgh' * 131072] * 3)
    if path == '/head-first':
        return head_first()
    return str(os.getpid())
";

/// Every python with plain iterators; those that have them with asynchronous ones, from a coroutine and from a plain
/// function; and a coroutine that answers with plain iterators.
fn each_kind(check: impl Fn(&str, Shim) + Sync) {
    each(Language::pythons(), |language| {
        check(&format!("{language:?} plain"), Setup::new(language, PLAIN).start());
    });
    each(Language::pythons_3(), |language| {
        let coroutine =
            format!("{ASYNCHRONOUS}async def handle(event, context):\n    return answer(event['path'])\n");
        check(&format!("{language:?} async"), Setup::new(language, &coroutine).start());
        let function =
            format!("{ASYNCHRONOUS}def handle(event, context):\n    return answer(event['path'])\n");
        check(&format!("{language:?} async, from a function"), Setup::new(language, &function).start());
        let both = PLAIN.replace("def handle(", "async def handle(");
        check(&format!("{language:?} plain, from a coroutine"), Setup::new(language, &both).start());
    });
}

#[test]
fn pieces_come_as_they_are_made() {
    each_kind(|kind, shim| {
        let mut stream = shim.send(Request::get("/steps")).stream();
        assert_eq!((stream.status, stream.header("transfer-encoding")), (200, Some("chunked")), "{kind}");
        assert_eq!(stream.header("content-type"), Some("text/plain; charset=utf-8"), "{kind}");
        assert_eq!(stream.next().as_deref(), Some(&b"one "[..]), "{kind}");
        // Others are served while this one waits.
        assert_eq!(shim.get("/").status, 200, "{kind}");
        release(&shim);
        let (rest, is_cut, _) = stream.rest();
        assert_eq!((String::from_utf8_lossy(&rest).as_ref(), is_cut), ("two thréé", false), "{kind}");
    });
}

#[test]
fn an_empty_first_piece_sends_the_head_ahead() {
    each_kind(|kind, shim| {
        let stream = shim.send(Request::get("/head-first")).stream();
        assert_eq!(stream.status, 200, "{kind}");
        release(&shim);
        assert_eq!(stream.rest().0, b"later", "{kind}");
    });
}

#[test]
fn a_body_may_be_a_stream_and_any_size() {
    each_kind(|kind, shim| {
        let answer = shim.get("/envelope");
        assert_eq!((answer.status, answer.text()), (201, "data: 1\n\ndata: 2\n\n"), "{kind}");
        assert_eq!(answer.header("content-type").as_deref(), Some("text/event-stream"), "{kind}");
        assert_eq!(answer.header("x-a").as_deref(), Some("1"), "{kind}");
        assert_eq!(shim.get("/items").text(), "210", "{kind}");
        until("the source is closed", || shim.code().join("items-closed").exists());
        let empty = shim.get("/empty");
        assert_eq!((empty.status, empty.text(), empty.header("content-type")), (200, "", None), "{kind}");
        let large = shim.get("/large");
        assert!(large.body == b"abcdefgh".repeat(3 * 131_072), "{kind}: {} bytes", large.body.len());
        let kind_of_body = large.header("content-type").expect("a type");
        let is_text = kind.contains("\"python\""); // what Python 2.7 calls bytes are text when they are UTF-8
        assert_eq!(kind_of_body.starts_with("text/plain"), is_text, "{kind} {kind_of_body}");
        assert_eq!(shim.call(Request::new("HEAD", "/large")).text(), "", "{kind}");
    });
}

#[test]
fn what_fails_before_the_first_piece_fails_whole_and_later_cuts_the_connection() {
    each_kind(|kind, shim| {
        let answer = shim.get("/fails");
        let said = serde_json::json!({"errorMessage": "at once", "errorType": "LookupError"});
        assert_eq!((answer.status, answer.json()), (500, said), "{kind}");
        for path in ["/wrong", "/base64"] {
            let answer = shim.get(path);
            assert_eq!(answer.status, 502, "{kind} {path} {answer:?}");
            assert_eq!(answer.json()["errorType"], "Runtime.MalformedAnswer", "{kind} {path}");
        }
        for (path, begun, logged) in
            [("/breaks", "begun", "midway"), ("/wrong-later", "fine", "of type dict")]
        {
            let (got, is_cut, _) = shim.send(Request::get(path)).stream().rest();
            assert_eq!((String::from_utf8_lossy(&got).as_ref(), is_cut), (begun, true), "{kind} {path}");
            shim.logged(logged);
        }
        assert_eq!(shim.get("/").status, 200, "{kind}");
    });
}

#[test]
fn a_source_is_asked_for_no_more_than_the_caller_takes_and_closed_when_the_caller_goes() {
    each_kind(|kind, shim| {
        let pid = shim.get("/").text().to_owned();
        let mut stream = shim.send(Request::get("/endless")).stream();
        assert!(stream.next().is_some(), "{kind}");
        let count = || {
            let text = std::fs::read_to_string(shim.code().join("plain-count")).unwrap_or_default();
            text.parse::<usize>().unwrap_or_default()
        };
        until("it has made some pieces", || count() > 1);
        // Other requests go through while it waits; meanwhile it makes no more than the window and the socket hold.
        for _ in 0..50 {
            assert_eq!(shim.get("/").text(), pid, "{kind}");
        }
        assert!(count() < 100, "{kind}: {} pieces of 100 kB that nobody has read", count());
        drop(stream);
        until("the source is closed", || shim.code().join("plain-closed").exists());
        assert_eq!(shim.get("/").text(), pid, "{kind}");
    });
}

#[test]
fn a_stream_ends_with_its_time() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, PLAIN).set("SCW_TIMEOUT_MS", "700").start();
        let pid = shim.get("/").text().to_owned();
        let (got, is_cut, _) = shim.send(Request::get("/endless")).stream().rest();
        assert!(is_cut && !got.is_empty(), "{language:?}");
        until("the source is closed", || shim.code().join("plain-closed").exists());
        assert_eq!(shim.get("/").text(), pid, "{language:?}: the worker let go and goes on");
    });
}
