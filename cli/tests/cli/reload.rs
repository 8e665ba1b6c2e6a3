//! `zipship dev` and files that change.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Connection, Dev, Project, until};

/// A handler that answers with a number.
fn node(version: usize) -> String {
    format!(
        "exports.handle = async () => {{ await new Promise((go) => setTimeout(go, 3)); return '{version}'; }};\n"
    )
}

fn python(version: usize) -> String {
    format!("def handle(event, context):\n    return '{version}'\n")
}

/// What is promised of a save's way to the first answer. It takes a tenth of that on an idle machine; on one that
/// does other work, the quickest of some saves counts.
const PROMISED: Duration = Duration::from_secs(1);
const SAVES: usize = 40;

/// A request that is sent after a save is answered by the new code: however short the time, never by the old.
fn saves(dev: &Dev, file: &str, source: fn(usize) -> String) -> Duration {
    let mut quickest = Duration::MAX;
    for version in 2..SAVES {
        let begin = Instant::now();
        match version % 2 {
            0 => dev.project.write(file, &source(version)),
            _ => dev.project.replace(file, &source(version)),
        }
        let response = dev.get("/");
        assert_eq!((response.status, response.text()), (200, version.to_string()));
        quickest = quickest.min(begin.elapsed());
        if version > 10 && quickest < PROMISED {
            break;
        }
    }
    quickest
}

#[test]
fn a_request_after_a_save_gets_the_new_code() {
    for (file, source) in [("handler.js", node as fn(usize) -> String), ("handler.py", python)] {
        let dev = Project::new(&[(file, &source(1))]).dev(&[]);
        assert_eq!(dev.get("/").text(), "1");
        let quickest = saves(&dev, file, source);
        println!("{file}: from the save to the first answer of the new code in {quickest:?} at best");
        assert!(quickest < PROMISED, "{quickest:?}");
        let reloaded = dev.event("reloaded", |event| event["event"] == "reloaded");
        assert_eq!(reloaded["files"], serde_json::json!([file]));
    }
}

/// Kept connections and new ones, at full speed, while the code changes ten times.
#[test]
fn a_reload_under_load_loses_no_request() {
    let dev = Project::new(&[("handler.js", &node(1))]).dev(&[]);
    let (stop, newest, answered) = (AtomicBool::new(false), AtomicUsize::new(1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (stop, newest, answered, address) = (&stop, &newest, &answered, dev.address());
            scope.spawn(move || {
                let mut kept = Connection::open(address).expect("a connection");
                while !stop.load(Ordering::Relaxed) {
                    let least = newest.load(Ordering::SeqCst);
                    if client % 2 == 0 {
                        kept = Connection::open(address).expect("a connection");
                    }
                    let response = kept.get("/", &[]).expect("every request has an answer");
                    let version: usize = response.text().parse().unwrap_or_else(|_| panic!("{response:?}"));
                    let most = newest.load(Ordering::SeqCst) + 1;
                    assert!(
                        response.status == 200 && (least..=most).contains(&version),
                        "{least} {most} {response:?}"
                    );
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for version in 2..12 {
            let before = answered.load(Ordering::Relaxed);
            dev.project.replace("handler.js", &node(version));
            newest.store(version, Ordering::SeqCst);
            until("requests go on", || answered.load(Ordering::Relaxed) >= before + 40);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let answered = answered.load(Ordering::Relaxed);
    println!("{answered} requests during 10 reloads");
    assert!(answered >= 400);
    let requests = dev.events().into_iter().filter(|event| event["event"] == "request");
    assert!(requests.into_iter().all(|event| event["status"] == 200));
}

#[test]
fn a_request_in_flight_is_finished_by_the_code_that_began_it() {
    let waiting = |version: usize| {
        format!(
            "const fs = require('fs');
exports.handle = async (event) => {{
  if (event.path === '/slow') console.log('began');
  while (event.path === '/slow' && !fs.existsSync(process.env.GO)) await new Promise((go) => setTimeout(go, 5));
  return '{version}';
}};\n"
        )
    };
    let signal = tempfile::tempdir().unwrap();
    let go = signal.path().join("go");
    let dev = Project::new(&[("handler.js", &waiting(1))]).dev(&["--env", &format!("GO={}", go.display())]);
    let mut slow = dev.connect();
    slow.send("/slow", &[]).unwrap();
    dev.event("the request runs", |event| event["line"] == "began");
    dev.project.write("handler.js", &waiting(2));
    assert_eq!(dev.get("/").text(), "2");
    std::fs::write(&go, "").unwrap();
    assert_eq!(slow.receive().unwrap().text(), "1");
    assert_eq!(slow.get("/", &[]).unwrap().text(), "2", "the connection is kept");
}

#[test]
fn a_file_that_breaks_it_is_told_to_everybody_and_mending_it_heals() {
    for (file, source, broken, said) in [
        ("handler.js", node as fn(usize) -> String, "exports.handle = (", "SyntaxError"),
        ("handler.py", python, "import nothing_like_it\n", "nothing_like_it"),
    ] {
        let dev = Project::new(&[(file, &source(1))]).dev(&[]);
        dev.project.write(file, broken);
        let answer = dev.get("/");
        assert_eq!(answer.status, 500);
        assert_eq!(answer.json()["errorType"], "Runtime.ImportError");
        assert!(answer.json()["errorMessage"].as_str().unwrap().contains(said), "{answer:?}");
        assert!(answer.header("x-request-id").is_some());
        let page = dev.get_with("/", &[("Accept", "text/html,*/*")]);
        assert_eq!((page.status, page.header("content-type")), (500, Some("text/html; charset=utf-8")));
        assert!(page.text().contains(said), "{page:?}");
        let event = dev.event("broken", |event| event["event"] == "broken");
        assert!(event["error"].as_str().unwrap().contains(said), "{event}");
        dev.project.write(file, &source(2));
        let healed = dev.get("/");
        assert_eq!((healed.status, healed.text()), (200, "2".into()));
    }
}

#[test]
fn a_function_that_is_broken_from_the_start_is_served_when_it_is_mended() {
    let dev = Project::new(&[("handler.js", "exports.nothing = 1;")]).dev(&[]);
    let answer = dev.get("/");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("exports no function"), "{answer:?}");
    dev.project.write("handler.js", &node(1));
    assert_eq!(dev.get("/").text(), "1");
}

#[test]
fn files_that_a_handler_uses_count_and_litter_does_not() {
    let source = "exports.handle = () => require('./lib/text.js') + '-' + process.env.WHO;\n";
    let files = [("handler.js", source), ("lib/text.js", "module.exports = 'a';\n"), (".env", "WHO=x\n")];
    let project = Project::new(&files);
    let file = project.path().join(".env");
    let file = file.to_str().unwrap().to_owned();
    let dev = project.dev(&["--env-file", &file, "--ignore", "*.log"]);
    assert_eq!(dev.get("/").text(), "a-x");
    for litter in ["node_modules/m/index.js", "out.log", ".handler.js.swp", ".git/index"] {
        dev.project.write(litter, "1");
    }
    assert_eq!(dev.get("/").text(), "a-x");
    dev.project.write("lib/text.js", "module.exports = 'b';\n");
    assert_eq!(dev.get("/").text(), "b-x");
    dev.project.write(".env", "WHO=y\n");
    assert_eq!(dev.get("/").text(), "b-y");
    // An answer may come before what is told of its reload.
    dev.event("the second reload", |event| {
        event["event"] == "reloaded" && event["files"] != serde_json::json!(["lib/text.js"])
    });
    let reloads = dev.events().into_iter().filter(|event| event["event"] == "reloaded").count();
    assert_eq!(reloads, 2, "{:#?}", dev.events());
}

#[test]
fn nothing_is_written_into_the_directory() {
    let dev = Project::new(&[("handler.py", &python(1)), ("helper.py", "")]).dev(&[]);
    let before = dev.project.listing();
    dev.project.write("handler.py", &python(2).replace("def", "import helper\n\ndef"));
    assert_eq!(dev.get("/").text(), "2");
    assert_eq!(dev.project.listing(), before);
}
