//! How the shim starts, refuses to, and tells what it found.

use crate::harness::http::{Connection, Request};
use crate::harness::{Language, Setup, each, until};

const HELLO: &str = "exports.handle = function () { console.log('called'); return 'hello'; };";

fn refusal(setup: Setup) -> String {
    let (status, stdout, stderr) = setup.start_plain().ended();
    assert_eq!((status.code(), &*stdout), (Some(64), ""), "{stderr}");
    stderr
}

#[test]
fn a_private_function_without_its_keys_does_not_start_and_says_which_and_the_way_out() {
    let setup = || Setup::new(Language::Node, HELLO).unset("SCW_PUBLIC");
    let bare = refusal(setup());
    for expected in ["SCW_PUBLIC_KEY", "SCW_NAMESPACE_ID", "SCW_APPLICATION_ID", "-e SCW_PUBLIC=true"] {
        assert!(bare.contains(expected), "{bare}");
    }
    let pem = include_str!("keys/pkcs1.pem");
    let whole =
        || setup().set("SCW_PUBLIC_KEY", pem).set("SCW_NAMESPACE_ID", "n").set("SCW_APPLICATION_ID", "a");
    for name in ["SCW_PUBLIC_KEY", "SCW_NAMESPACE_ID", "SCW_APPLICATION_ID"] {
        let told = refusal(whole().unset(name));
        assert!(told.contains(&format!("{name} is missing")) && told.lines().count() == 1, "{told}");
    }
    for unreadable in ["x", include_str!("keys/private.pem"), "-----BEGIN RSA PUBLIC KEY-----\n"] {
        let told = refusal(whole().set("SCW_PUBLIC_KEY", unreadable));
        assert!(told.contains("SCW_PUBLIC_KEY is unreadable"), "{told}");
    }
    // Anything but `true` is private.
    assert!(refusal(setup().set("SCW_PUBLIC", "TRUE")).contains("SCW_PUBLIC_KEY is missing"));
}

#[test]
fn settings_that_make_no_sense_are_told_together() {
    let setup = Setup::new(Language::Node, HELLO).set("PORT", "many").set("SCW_MAX_CONCURRENCY", "0");
    let told = refusal(setup.set("SCW_TIMEOUT_MS", "0"));
    for name in ["PORT", "SCW_MAX_CONCURRENCY", "SCW_TIMEOUT_MS"] {
        assert!(told.contains(name), "{told}");
    }
}

#[test]
fn the_ready_line_tells_how_many_at_once() {
    for (language, source, default) in [
        (Language::Node, HELLO, 100),
        (Language::Python, "def handle(event, context):\n    return 'hello'\n", 8),
    ] {
        let ready = Setup::new(language, source).start().ready.clone();
        assert_eq!((ready.ready, ready.max_concurrency, ready.error), (true, default, None));
        let shim = Setup::new(language, source).set("SCW_MAX_CONCURRENCY", "3").start();
        assert_eq!(shim.ready.max_concurrency, 3);
        assert_eq!(shim.get("/").text(), "hello");
    }
}

#[test]
fn a_handler_that_is_not_there_is_told_at_the_start_and_to_every_caller() {
    let musl = "throw new Error('libc.musl-x86_64.so.1: cannot open shared object file');";
    let python_musl = "raise ImportError('libc.musl-x86_64.so.1: cannot open shared object file')\n";
    each(Language::framed(), |language| {
        let cases: &[(&str, &str, &[&str])] = match language.key() {
            "node" => &[
                ("require('nothing-here');", "handler.handle", &["Cannot find module 'nothing-here'"]),
                (
                    "exports.x = 1; exports.y = function () {};",
                    "handler.handle",
                    &["exports no function \"handle\"", "y"],
                ),
                ("", "other.handle", &["other.js is not there", "handler.js"]),
                ("var x = ;", "handler.handle", &["SyntaxError"]),
                ("", "handler", &["no function name"]),
                (musl, "handler.handle", &["musl", "glibc"]),
            ],
            _ => &[
                ("import nothing_here\n", "handler.handle", &["No module named", "nothing_here"]),
                ("def y(): pass\n", "handler.handle", &["has no function \"handle\"", "y"]),
                ("", "other.handle", &["other.py is not there", "handler.py"]),
                ("def (:\n", "handler.handle", &["SyntaxError", "line 1"]),
                ("", "handler", &["no function name"]),
                ("raise SystemExit(3)\n", "handler.handle", &["SystemExit"]),
                (python_musl, "handler.handle", &["musl", "python-dep3"]),
            ],
        };
        for (source, handler, expected) in cases {
            let shim = Setup::new(language, source).set("SCW_HANDLER", handler).start();
            let error = shim.ready.error.clone().unwrap_or_default();
            assert!(!shim.ready.ready, "{language:?} {handler} {source}");
            for part in *expected {
                assert!(error.contains(part), "{language:?}: {error:?} lacks {part:?}");
            }
            for _ in 0..2 {
                let answer = shim.get("/");
                assert_eq!((answer.status, answer.json()["errorMessage"].as_str()), (500, Some(&*error)));
                assert_eq!(answer.header("x-zipship-error").as_deref(), Some("Runtime.ImportError"));
            }
        }
    });
}

#[test]
fn code_is_named_by_a_relative_path_too() {
    each(vec![Language::Node, Language::Python], |language| {
        let source = match language {
            Language::Node => HELLO,
            _ => "def handle(event, context):\n    return 'hello'\n",
        };
        // `$3` is the harness's own absolute path.
        let relative =
            "cd \"$3/..\" && shim=$1 code=${3##*/} && shift 3 && exec \"$shim\" --code \"$code\" \"$@\"";
        let shim = Setup::new(language, source).wrapped(&["/bin/sh", "-c", relative, "sh"]).start();
        assert!(shim.ready.ready, "{language:?}: {:?}", shim.ready.error);
        assert_eq!(shim.get("/").text(), "hello");
    });
}

#[test]
fn handlers_lie_in_directories_and_python_finds_its_packages() {
    let shim = Setup::new(Language::Python, "")
        .file("src/deep/handler.py", "import dep\ndef run(event, context):\n    return dep.NAME\n")
        .file("package/dep.py", "NAME = 'packaged'\n")
        .set("SCW_HANDLER", "src/deep/handler.run")
        .start();
    assert_eq!(shim.get("/").text(), "packaged");
    each(Language::nodes(), |language| {
        let named = |handler: &str, source: &str| {
            let setup = Setup::new(language, "").file("build/main.js", source).set("SCW_HANDLER", handler);
            setup.start().get("/").text().to_owned()
        };
        assert_eq!(named("build/main.run", "exports.run = function () { return 'export'; };"), "export");
        assert_eq!(named("build/main.js", "exports.only = function () { return 'only'; };"), "only");
        assert_eq!(
            named(
                "build/main.js",
                "exports.a = function () {}; exports.handle = function () { return 'handle'; };"
            ),
            "handle"
        );
    });
}

#[test]
fn es_modules_are_imported_where_node_has_them_and_explained_where_not() {
    let module = "export const handle = async () => 'module';";
    each(Language::nodes(), |language| {
        let by_name = Setup::new(language, "").file("m.mjs", module).set("SCW_HANDLER", "m.handle").start();
        let by_type = Setup::new(language, module).file("package.json", "{\"type\": \"module\"}").start();
        for shim in [by_name, by_type] {
            if language.node_line() >= Some(12) {
                assert_eq!(shim.get("/").text(), "module", "{language:?}");
            } else {
                let error = shim.ready.error.clone().unwrap_or_default();
                assert!(error.contains("ES module"), "{language:?} {error:?}");
            }
        }
    });
}

#[test]
fn on_a_port_output_is_unaltered_and_a_probe_is_a_request_like_any_other() {
    let port =
        std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a port").port();
    let plain = Setup::new(Language::Node, HELLO).set("PORT", &port.to_string()).start_plain();
    let mut stream = None;
    until("the port is open", || {
        stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    let probe = Request::get("/").header("X-Zipship-Probe", "nonce");
    let answer = Connection::tcp(stream.expect("a connection")).send(probe).response();
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    rustix::process::kill_process(plain.pid(), rustix::process::Signal::TERM).expect("a signal");
    let (status, stdout, _) = plain.ended();
    assert_eq!((status.code(), &*stdout), (Some(0), "called\n"));
}

#[test]
fn a_probe_on_an_inherited_socket_is_answered_without_token_and_worker() {
    let shim = Setup::new(Language::Node, HELLO)
        .unset("SCW_PUBLIC")
        .set("SCW_PUBLIC_KEY", include_str!("keys/pkcs1.pem"))
        .set("SCW_NAMESPACE_ID", "n")
        .set("SCW_APPLICATION_ID", "a")
        .start();
    assert_eq!(shim.get("/").status, 404);
    assert_eq!(shim.call(Request::get("/").header("X-Zipship-Probe", "nonce")).status, 204);
}

#[test]
fn log_records_tell_stream_and_request() {
    let source = "import sys\ndef handle(event, context):\n    print('to stdout')\n    \
                  sys.stderr.write('to stderr\\n')\n    return None\n";
    let shim = Setup::new(Language::Python, source).start();
    shim.call(Request::get("/").header("X-Request-Id", "r-7"));
    for (line, stream) in [
        ("to stdout", contract::instance::LogStream::Stdout),
        ("to stderr", contract::instance::LogStream::Stderr),
    ] {
        let record = shim.logged(line);
        assert_eq!(
            (record.stream, record.request_id.as_deref(), &*record.line, record.part),
            (stream, Some("r-7"), line, 0)
        );
    }
}
