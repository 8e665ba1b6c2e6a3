//! What python handlers print, with the request that it belongs to.

use contract::instance::LogStream;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each, free_port, release, until};

const PLAIN: &str = "# -*- coding: utf-8 -*-
from __future__ import print_function
import logging, os, subprocess, sys, threading, time
logging.basicConfig(level=logging.INFO, format='%(message)s')
print('at import')
def handle(event, context):
    path = event['path']
    me = event['requestContext']['requestId']
    if path == '/together':
        print(me, 'begins')
        sys.stdout.write(me + ' half')
        while not os.path.exists('go'):
            time.sleep(0.002)
        sys.stdout.write(' and half\\n')
        logging.info('%s logs', me)
        sys.stderr.write(me + u' complains: h\\xe9\\n')
        print(me, 'ends', end='')
    if path == '/exit':
        for number in range(100):
            print(me, 'line', number)
        os._exit(3)
    if path == '/error':
        raise ValueError(me + ' fails')
    if path == '/child':
        subprocess.call(['echo', me + ' of a child'])
    if path == '/thread':
        thread = threading.Thread(target=print, args=(me, 'of a thread'))
        thread.start()
        thread.join()
    if path == '/bytes' and str is not bytes:
        sys.stdout.buffer.write(b'raw bytes\\n')
        print('lone \\ud800', file=sys.stderr)
        print(sys.stdout.fileno(), sys.stderr.isatty(), sys.stdout.encoding)
    return me
";

const COROUTINE: &str = "
import asyncio, os, sys
async def deeper(me):
    await asyncio.sleep(0)
    print(me, 'in a task')
async def handle(event, context):
    me = event['requestContext']['requestId']
    print(me, 'begins')
    sys.stdout.write(me + ' half')
    while not os.path.exists('go'):
        await asyncio.sleep(0.002)
    sys.stdout.write(' and half\\n')
    await asyncio.gather(deeper(me), deeper(me))
    print(me, 'ends', end='')
    return me
";

fn call(shim: &Shim, path: &str, id: &str) -> crate::harness::http::Response {
    shim.call(Request::get(path).header("X-Request-Id", id))
}

fn has_its_own_lines(shim: &Shim, what: &str, last: &[&str]) {
    let ids: Vec<String> = (0..4).map(|number| format!("request-{number}")).collect();
    let sent: Vec<_> =
        ids.iter().map(|id| shim.send(Request::get("/together").header("X-Request-Id", id))).collect();
    for id in &ids {
        shim.logged(&format!("{id} begins"));
    }
    release(shim);
    for (sent, id) in sent.into_iter().zip(&ids) {
        assert_eq!(sent.response().text(), id, "{what}");
    }
    for id in &ids {
        for text in ["begins", "half and half"].iter().chain(last) {
            let record = shim.logged(&format!("{id} {text}"));
            assert_eq!(record.request_id.as_deref(), Some(&**id), "{what} {record:?}");
            assert_eq!(record.line, format!("{id} {text}"), "{what}");
        }
    }
}

#[test]
fn lines_of_requests_that_run_together_know_their_request() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, PLAIN).start();
        assert_eq!(shim.logged("at import").request_id, None, "{language:?}");
        let last = ["logs", "complains: hé", "ends"];
        has_its_own_lines(&shim, &format!("{language:?}"), &last);
        assert_eq!(shim.logged("request-2 logs").stream, LogStream::Stderr);
        assert_eq!(shim.logged("request-2 ends").stream, LogStream::Stdout);
    });
}

#[test]
fn lines_of_coroutines_and_their_tasks_know_their_request() {
    each(Language::pythons_3(), |language| {
        let shim = Setup::new(language, COROUTINE).start();
        has_its_own_lines(&shim, &format!("{language:?}"), &["in a task", "ends"]);
    });
}

#[test]
fn nothing_is_lost_when_the_process_ends() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, PLAIN).start();
        assert_eq!(call(&shim, "/exit", "request-9").status, 502, "{language:?}");
        for number in 0..100 {
            let record = shim.logged(&format!("request-9 line {number}"));
            assert_eq!(record.request_id.as_deref(), Some("request-9"), "{language:?}");
        }
    });
}

#[test]
fn errors_children_and_threads_are_told_of() {
    each(Language::pythons(), |language| {
        let shim = Setup::new(language, PLAIN).start();
        assert_eq!(call(&shim, "/error", "request-1").status, 500);
        let record = shim.logged("ValueError: request-1 fails");
        assert_eq!(record.request_id.as_deref(), Some("request-1"), "{language:?}");
        assert!(shim.all_logged().iter().any(|r| r.line.contains("handler.py") && r.line.contains("line")));
        assert!(
            !shim.all_logged().iter().any(|r| r.line.contains("_zipship")),
            "only the handler's own frames"
        );
        assert_eq!(call(&shim, "/child", "request-2").text(), "request-2");
        shim.logged("request-2 of a child");
        assert_eq!(call(&shim, "/thread", "request-3").text(), "request-3");
        shim.logged("request-3 of a thread");
        assert_eq!(call(&shim, "/bytes", "request-4").text(), "request-4");
        if language != Language::PythonLine("python") {
            assert_eq!(shim.logged("raw bytes").request_id.as_deref(), Some("request-4"), "{language:?}");
            shim.logged("lone \\ud800");
            shim.logged("1 False utf-8");
        }
    });
}

#[test]
fn without_a_log_descriptor_the_output_is_unaltered() {
    each(Language::pythons(), |language| {
        let port = free_port();
        let shim = Setup::new(language, PLAIN).set("PORT", &port).start_plain();
        let connect = || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok();
        until("it listens", || connect().is_some());
        let connection = crate::harness::http::Connection::tcp(connect().expect("a listener"));
        assert_eq!(connection.send(Request::get("/error")).response().status, 500, "{language:?}");
        rustix::process::kill_process(shim.pid(), rustix::process::Signal::TERM).expect("a signal");
        let (_, stdout, stderr) = shim.ended();
        assert_eq!(stdout, "at import\n", "{language:?}");
        let own: Vec<_> = stderr.lines().filter(|line| !line.starts_with('{')).collect();
        assert_eq!(own.first(), Some(&"Traceback (most recent call last):"), "{language:?} {stderr}");
        assert!(own.last().is_some_and(|line| line.ends_with(" fails")), "{language:?} {stderr}");
    });
}
