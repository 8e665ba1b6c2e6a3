//! The metrics port, traces, and where the shim's own lines go.

use std::net::TcpStream;

use crate::harness::http::{Connection, Request, Response};
use crate::harness::{Language, Setup, free_port, release, until};

const SOURCE: &str = "const fs = require('fs');
exports.handle = function (event, context, callback) {
  if (event.path === '/exit') process.exit(3);
  if (event.path === '/fail') throw new Error('no');
  if (event.path !== '/wait') return callback(null, 'fine');
  const timer = setInterval(function () {
    if (fs.existsSync('go')) { clearInterval(timer); callback(null, 'late'); }
  }, 2);
};";

fn page(port: &str, path: &str) -> Response {
    let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the metrics port");
    Connection::tcp(stream).send(Request::get(path)).response()
}

/// The value of a series, 0 when it is not there.
pub(crate) fn value(port: &str, series: &str) -> f64 {
    let page = page(port, "/metrics");
    let line = page.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

#[test]
fn the_metrics_port_counts_what_happened() {
    let port = free_port();
    let setup = Setup::new(Language::Node, SOURCE).set("SCW_METRICS_PORT", &port);
    let shim = setup.set("SCW_MAX_CONCURRENCY", "1").set("SCW_QUEUE_SIZE", "1").start();
    assert_eq!(shim.get("/").text(), "fine");
    assert_eq!(shim.get("/fail").status, 500);
    assert_eq!(shim.get("/exit").status, 502);
    assert_eq!(shim.get("/").status, 200, "from the next worker");
    for (code, count) in [("200", 2.0), ("500", 1.0), ("502", 1.0), ("404", 0.0)] {
        assert_eq!(value(&port, &format!("zipship_requests_total{{code=\"{code}\"}}")), count, "{code}");
    }
    assert_eq!(value(&port, "zipship_request_duration_seconds_count"), 4.0);
    assert_eq!(value(&port, "zipship_request_duration_seconds_bucket{le=\"+Inf\"}"), 4.0);
    assert_eq!(value(&port, "zipship_queue_duration_seconds_count"), 4.0);
    assert_eq!(value(&port, "zipship_worker_restarts_total"), 1.0);
    let cold_start = value(&port, "zipship_cold_start_seconds");
    assert!(cold_start > 0.001 && cold_start < 30.0, "{cold_start}");
    for process in ["shim", "worker"] {
        let bytes = value(&port, &format!("zipship_resident_memory_bytes{{process=\"{process}\"}}"));
        assert!(bytes > 500e3 && bytes < 500e6, "{process}: {bytes}");
    }

    let running = shim.send(Request::get("/wait"));
    until("one runs", || value(&port, "zipship_requests_in_flight") == 1.0);
    let waiting = shim.send(Request::get("/"));
    until("one waits", || value(&port, "zipship_requests_queued") == 1.0);
    assert_eq!(value(&port, "zipship_slots"), 1.0);
    release(&shim);
    assert_eq!((running.response().text(), waiting.response().text()), ("late", "fine"));
    until("nobody waits", || value(&port, "zipship_requests_queued") == 0.0);
    assert_eq!(value(&port, "zipship_requests_in_flight"), 0.0);
}

#[test]
fn a_caller_that_went_away_is_counted_too() {
    let port = free_port();
    let shim = Setup::new(Language::Node, SOURCE).set("SCW_METRICS_PORT", &port).start();
    let gone = shim.send(Request::get("/wait"));
    until("it runs", || value(&port, "zipship_requests_in_flight") == 1.0);
    drop(gone);
    until("it is counted", || value(&port, "zipship_requests_total{code=\"499\"}") == 1.0);
    release(&shim);
    until("the handler has finished", || value(&port, "zipship_requests_in_flight") == 0.0);
}

#[test]
fn every_series_has_its_help_and_type_and_the_page_parses() {
    let port = free_port();
    let shim = Setup::new(Language::Node, SOURCE).set("SCW_METRICS_PORT", &port).start();
    shim.get("/");
    let page = page(&port, "/metrics");
    assert_eq!(page.header("content-type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut known = Vec::new();
    for line in page.text().lines() {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            known.extend(comment.split(' ').next().map(str::to_owned));
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            value.parse::<f64>().expect("a number");
            let name = series.split('{').next().expect("a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            let is_known = |name: &str| known.iter().any(|known| known == name);
            assert!(is_known(name) || family.is_some_and(is_known), "{line}");
        }
    }
    assert_eq!(known.len(), 10, "{known:?}");
}

#[test]
fn nothing_else_is_on_the_metrics_port() {
    let port = free_port();
    let shim = Setup::new(Language::Node, SOURCE).set("SCW_METRICS_PORT", &port).start();
    assert_eq!((page(&port, "/healthz").status, page(&port, "/healthz").text()), (200, "alive\n"));
    for path in ["/", "/exit", "/metrics/x"] {
        assert_eq!(page(&port, path).status, 404, "{path}");
    }
    assert_eq!(value(&port, "zipship_request_duration_seconds_count"), 0.0, "none of them was a request");
    drop(shim);
    // Without the variable there is no such port.
    let shim = Setup::new(Language::Node, SOURCE).start();
    shim.get("/");
    assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_err());
}

#[test]
fn a_metrics_port_that_cannot_be_is_refused() {
    let plain = |port: &str| {
        let setup = Setup::new(Language::Node, SOURCE).set("PORT", &free_port());
        setup.set("SCW_METRICS_PORT", port).start_plain().ended()
    };
    let taken = std::net::TcpListener::bind(("::", 0)).expect("a port");
    let (status, _, told) = plain(&taken.local_addr().expect("an address").port().to_string());
    assert_eq!(status.code(), Some(1));
    assert!(told.contains("SCW_METRICS_PORT") && told.contains("in use"), "{told}");
    let (status, _, told) = plain("0");
    assert_eq!(status.code(), Some(64));
    assert!(told.contains("SCW_METRICS_PORT is 0"), "{told}");
}

#[test]
fn a_trace_goes_in_and_comes_out() {
    let source = "exports.handle = async function (event) {
        const headers = event.path === '/own' ? {Traceparent: 'mine'} : {};
        return {headers: headers, body: String(event.headers.Traceparent)}; };";
    let shim = Setup::new(Language::Node, source).start();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = |path: &str| shim.call(Request::get(path).header("traceparent", parent));
    assert_eq!((traced("/").text(), traced("/").header("traceparent").as_deref()), (parent, Some(parent)));
    assert_eq!(traced("/own").header("traceparent").as_deref(), Some("mine"));
    let none = shim.get("/");
    assert_eq!((none.text(), none.header("traceparent")), ("undefined", None));
    // What is no trace is the handler's to see and nobody else's.
    let odd = shim.call(Request::get("/").header("traceparent", "00-0-0-1"));
    assert_eq!((odd.text(), odd.header("traceparent")), ("00-0-0-1", None));
}

/// Standard error of a shim that answers one request and is told to stop.
fn said(level: Option<&str>) -> (String, String) {
    let port = free_port();
    let source =
        "exports.handle = async function () { console.log('out'); console.error('err'); return 1.5; };";
    let mut setup = Setup::new(Language::Node, source).set("PORT", &port);
    if let Some(level) = level {
        setup = setup.set("SCW_LOG_LEVEL", level);
    }
    let shim = setup.start_plain();
    let call = |request: Request| {
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).ok()?;
        Some(Connection::tcp(stream).send(request).response())
    };
    until("it listens", || call(Request::get("/path").header("X-Request-Id", "id-1")).is_some());
    rustix::process::kill_process(shim.pid(), rustix::process::Signal::TERM).expect("a signal");
    let (status, stdout, stderr) = shim.ended();
    assert_eq!(status.code(), Some(0));
    (stdout, stderr)
}

#[test]
fn without_a_log_descriptor_the_shims_own_lines_are_json_and_the_handlers_unaltered() {
    let (stdout, stderr) = said(Some("debug"));
    assert_eq!(stdout, "out\n");
    let (own, handlers): (Vec<_>, Vec<_>) = stderr.lines().partition(|line| line.starts_with('{'));
    assert_eq!(handlers, ["err"]);
    let own: Vec<serde_json::Value> =
        own.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let request = own.iter().find(|line| line["request_id"] == "id-1").expect("a line of the request");
    let message = request["message"].as_str().expect("a message");
    assert!(message.starts_with("GET /path 200 in "), "{message}");
    for line in &own {
        assert_eq!((&line["source"], &line["level"]), (&"zipship-shim".into(), &"debug".into()), "{line}");
        assert!(line["ts"].as_u64() > Some(1_700_000_000_000), "{line}");
    }
}

#[test]
fn the_level_decides_what_the_shim_says() {
    let (_, stderr) = said(None);
    assert_eq!(stderr, "err\n", "a quiet life is not told at the level info");
    let refused = Setup::new(Language::Node, SOURCE).set("SCW_LOG_LEVEL", "loud").start_plain().ended();
    assert!(refused.2.contains("SCW_LOG_LEVEL"), "{}", refused.2);
}
