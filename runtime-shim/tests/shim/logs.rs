//! What handlers print: every byte, line by line, raw or as records.

use std::net::TcpStream;

use contract::instance::LogStream;

use crate::harness::http::{Connection, Request};
use crate::harness::{Language, Setup, free_port, until};

/// Longer than any buffer on the way.
const LONG: usize = 10 << 20;

fn sources() -> [(Language, String); 2] {
    let node = format!(
        "exports.handle = async function () {{ console.log('a'.repeat({LONG})); console.log('\\u00e9'); return 'done'; }};"
    );
    let python = format!(
        "# -*- coding: utf-8 -*-\nimport sys\ndef handle(event, context):\n    print('a' * {LONG})\n    print('é')\n    sys.stdout.flush()\n    return 'done'\n"
    );
    [(Language::Node, node), (Language::Python, python)]
}

#[test]
fn a_line_of_ten_megabytes_is_unaltered_on_standard_output() {
    for (language, source) in sources() {
        let port = free_port();
        let shim = Setup::new(language, &source).set("PORT", &port).start_plain();
        until("it answers", || {
            let stream = TcpStream::connect(format!("127.0.0.1:{port}")).ok();
            stream.is_some_and(|stream| {
                Connection::tcp(stream).send(Request::get("/")).response().text() == "done"
            })
        });
        rustix::process::kill_process(shim.pid(), rustix::process::Signal::TERM).expect("a signal");
        let (status, stdout, stderr) = shim.ended();
        assert_eq!((status.code(), &*stderr), (Some(0), ""), "{language:?}");
        let expected = format!("{}\né\n", "a".repeat(LONG));
        assert!(stdout == expected, "{language:?}: {} bytes", stdout.len());
    }
}

#[test]
fn a_line_of_ten_megabytes_comes_as_records_with_numbered_parts() {
    for (language, source) in sources() {
        let shim = Setup::new(language, &source).start();
        let answer = shim.call(Request::get("/").header("X-Request-Id", "long-1"));
        assert_eq!(answer.text(), "done", "{language:?}");
        shim.logged("é");
        let records: Vec<_> =
            shim.all_logged().into_iter().filter(|record| record.stream == LogStream::Stdout).collect();
        let (last, parts) = records.split_last().expect("records");
        assert_eq!((&*last.line, last.part), ("é", 0), "{language:?}");
        for (number, record) in parts.iter().enumerate() {
            assert_eq!(usize::try_from(record.part), Ok(number), "{language:?}");
            assert_eq!(record.request_id.as_deref(), Some("long-1"), "{language:?}");
        }
        assert_eq!(parts.iter().map(|record| record.line.len()).sum::<usize>(), LONG, "{language:?}");
    }
}
