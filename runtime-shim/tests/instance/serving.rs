//! The life of an instance: sockets, ready line, control document, logs, probe, drain.

use std::{
    fs,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    http::{self, LIMIT},
    world::{Language, Plan, Shim},
};

const HELLO: [(Language, &str); 2] = [
    (Language::Node, "module.exports.handle = async () => 'hello';\n"),
    (Language::Python, "def handle(event, context):\n    return 'hello'\n"),
];

#[test]
fn it_serves_on_a_port_and_on_inherited_sockets() {
    for (language, code) in HELLO {
        assert_eq!(Plan::new(language, code).on_port().get("/").text(), "hello");
        let mut unix = Plan::new(language, code).inherited();
        assert!(unix.ready().ready);
        assert_eq!(unix.get("/").text(), "hello");
        let mut tcp = Plan::new(language, code).inherited_tcp();
        let ready = tcp.ready();
        assert_eq!((ready.ready, ready.error), (true, None));
        assert_eq!(ready.max_concurrency, if language == Language::Node { 100 } else { 8 });
        assert_eq!(tcp.get("/").text(), "hello");
    }
}

#[test]
fn a_request_may_come_before_the_worker_is_up() {
    for (language, code) in HELLO {
        let shim = Plan::new(language, code).inherited();
        assert_eq!(shim.get("/").text(), "hello");
    }
}

#[test]
fn an_import_error_is_told_in_the_ready_line_and_to_every_caller() {
    let cases = [
        (Language::Node, "require('nothing-like-this');\n", "nothing-like-this"),
        (Language::Node, "module.exports.other = () => 1;\n", "handle"),
        (Language::Python, "import nothing_like_this\n", "nothing_like_this"),
        (Language::Python, "def other(event, context):\n    return 1\n", "handle"),
    ];
    for (language, code, cause) in cases {
        let mut shim = Plan::new(language, code).inherited();
        let ready = shim.ready();
        assert!(!ready.ready && ready.error.as_deref().unwrap().contains(cause), "{ready:?}");
        for _ in 0..2 {
            let answer = shim.get("/");
            assert_eq!(answer.status, 500);
            assert!(answer.json()["errorMessage"].as_str().unwrap().contains(cause), "{}", answer.text());
            assert_eq!(answer.header("x-zipship-error"), Some("Runtime.ImportError"));
        }
    }
}

#[test]
fn the_probe_is_answered_on_inherited_sockets_only_and_without_the_worker() {
    let code = "module.exports.handle = async () => { throw new Error('called'); };\n";
    let probe = [("X-Zipship-Probe", "nonce")];
    let mut inherited = Plan::new(Language::Node, code).inherited();
    assert!(inherited.ready().ready);
    assert_eq!(inherited.call("GET", "/", &probe, b"").status, 204);
    let mut private = crate::tokens::private(crate::tokens::PKCS1).inherited();
    assert!(private.ready().ready);
    assert_eq!(private.call("GET", "/", &probe, b"").status, 204);
    assert_eq!(Plan::new(Language::Node, code).on_port().call("GET", "/", &probe, b"").status, 500);
}

#[test]
fn output_comes_as_records_with_the_request_it_belongs_to() {
    let cases = [
        (
            Language::Node,
            "module.exports.handle = async () => { console.log('said'); console.error('cried'); };\n",
        ),
        (
            Language::Python,
            "import sys\ndef handle(event, context):\n    print('said')\n    sys.stderr.write('cried\\n')\n",
        ),
    ];
    for (language, code) in cases {
        let mut shim = Plan::new(language, code).inherited();
        assert!(shim.ready().ready);
        shim.call("GET", "/", &[("X-Request-Id", "r-9")], b"");
        for (line, stream) in [("said", "stdout"), ("cried", "stderr")] {
            let record = wait_for(&shim, |said| {
                let records =
                    said.lines().filter_map(|text| serde_json::from_str::<serde_json::Value>(text).ok());
                records.into_iter().find(|record| record["line"] == line)
            });
            assert_eq!(
                (&record["stream"], &record["request_id"]),
                (&stream.into(), &"r-9".into()),
                "{record}"
            );
        }
    }
}

#[test]
fn output_without_a_log_descriptor_is_raw() {
    let code = "module.exports.handle = async () => { console.log('said as it is'); };\n";
    let shim = Plan::new(Language::Node, code).on_port();
    shim.get("/");
    wait_for(&shim, |said| said.lines().any(|line| line == "said as it is").then_some(()));
}

#[test]
fn the_users_variables_reach_the_handler_and_the_platforms_descriptors_do_not() {
    let cases = [
        (
            Language::Node,
            "const fs = require('fs');\nmodule.exports.handle = async () => ({body: {mine: process.env.MINE, \
            names: Object.keys(process.env), cwd: process.cwd(), fds: fs.readdirSync('/proc/self/fd').map((fd) => { \
            try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch (e) { return ''; } })}});\n",
        ),
        (
            Language::Python,
            "import os\ndef handle(event, context):\n    links = []\n    for fd in os.listdir('/proc/self/fd'):\n        \
            try:\n            links.append(os.readlink('/proc/self/fd/' + fd))\n        except OSError:\n            pass\n    \
            return {'body': {'mine': os.environ.get('MINE'), 'names': list(os.environ), 'cwd': os.getcwd(), 'fds': links}}\n",
        ),
    ];
    for (language, code) in cases {
        let plan = Plan::new(language, code).with("MINE", "yes");
        let folder = fs::canonicalize(plan.folder.path()).unwrap().display().to_string();
        let mut shim = plan.inherited();
        assert!(shim.ready().ready);
        let found = shim.get("/").json();
        assert_eq!((&found["mine"], &found["cwd"]), (&"yes".into(), &folder.into()), "{found}");
        let names = found["names"].as_array().unwrap();
        assert!(!names.iter().any(|name| name.as_str().unwrap().starts_with("ZIPSHIP_")), "{names:?}");
        let leaked = |link: &serde_json::Value| link.as_str().unwrap().contains("deleted");
        assert!(!found["fds"].as_array().unwrap().iter().any(leaked), "control or log leaks: {found}");
    }
}

#[test]
fn sigterm_finishes_what_runs_and_exits_0() {
    let cases = [
        (
            Language::Node,
            "module.exports.handle = () => new Promise((done) => setTimeout(() => done('late'), 400));\n",
        ),
        (
            Language::Python,
            "import time\ndef handle(event, context):\n    time.sleep(0.4)\n    return 'late'\n",
        ),
    ];
    for (language, code) in cases {
        let mut shim = Plan::new(language, code).inherited();
        assert!(shim.ready().ready);
        let mut stream = shim.connect();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        // It runs once a second request, sent after it, has been taken in: the probe needs no worker.
        assert_eq!(shim.call("GET", "/", &[("X-Zipship-Probe", "n")], b"").status, 204);
        shim.signal(Signal::TERM);
        let answer = http::read(stream);
        assert_eq!((answer.status, answer.text().as_str()), (200, "late"), "{language:?}");
        assert_eq!(shim.wait().code(), Some(0));
    }
}

#[test]
fn requests_overlap_in_one_instance() {
    let cases = [
        (
            Language::Node,
            "module.exports.handle = () => new Promise((done) => setTimeout(() => done('x'), 500));\n",
        ),
        (Language::Python, "import time\ndef handle(event, context):\n    time.sleep(0.5)\n    return 'x'\n"),
    ];
    for (language, code) in cases {
        let mut shim = Plan::new(language, code).inherited();
        assert!(shim.ready().ready);
        let started = Instant::now();
        thread::scope(|scope| {
            let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| shim.get("/").status)).collect();
            assert!(calls.into_iter().all(|call| call.join().unwrap() == 200));
        });
        // One after the other they would take three seconds.
        assert!(started.elapsed() < Duration::from_secs(2), "{language:?}: {:?}", started.elapsed());
    }
}

fn wait_for<T>(shim: &Shim, look: impl Fn(&str) -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        let said = shim.output();
        if let Some(found) = look(&said) {
            return found;
        }
        assert!(Instant::now() < deadline, "not in {said}");
        thread::sleep(Duration::from_millis(5));
    }
}
