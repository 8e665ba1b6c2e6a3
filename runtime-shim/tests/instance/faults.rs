//! Handlers that hang, die or flood: the guilty request fails, the next one is served.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::world::{Language, Plan};

#[test]
fn a_handler_without_an_answer_in_time_is_504_and_the_next_request_is_served() {
    let cases = [
        (
            Language::Node,
            "module.exports.handle = async (event) => { if (event.path === '/hang') { for (;;) {} } return 'fine'; };\n",
        ),
        (
            Language::Python,
            "def handle(event, context):\n    while event['path'] == '/hang':\n        pass\n    return 'fine'\n",
        ),
        (
            Language::Node,
            "module.exports.handle = (event, context, callback) => { if (event.path !== '/hang') callback(null, 'fine'); };\n",
        ),
    ];
    for (language, code) in cases {
        let mut shim = Plan::new(language, code).with("SCW_TIMEOUT_MS", "4000").inherited();
        assert!(shim.ready().ready);
        let started = Instant::now();
        let answer = shim.get("/hang");
        assert_eq!(answer.status, 504, "{}", answer.text());
        assert!(started.elapsed() < Duration::from_millis(5000), "{:?}", started.elapsed());
        assert_eq!(answer.header("x-zipship-error"), Some("Runtime.TimedOut"));
        let next = shim.get("/");
        assert_eq!((next.status, next.text().as_str()), (200, "fine"), "{}", shim.output());
    }
}

#[test]
fn a_worker_that_dies_is_502_for_what_it_held_and_comes_back() {
    let cases = [
        (
            Language::Node,
            "module.exports.handle = async (event) => { if (event.path === '/die') process.exit(0); return 'fine'; };\n",
        ),
        (
            Language::Python,
            "import os\ndef handle(event, context):\n    if event['path'] == '/die':\n        \
                os.abort()\n    return 'fine'\n",
        ),
    ];
    for (language, code) in cases {
        let mut shim = Plan::new(language, code).inherited();
        assert!(shim.ready().ready);
        let answer = shim.get("/die");
        assert_eq!((answer.status, answer.header("x-zipship-error")), (502, Some("Runtime.WorkerKilled")));
        assert_eq!(answer.json()["errorType"], "Runtime.WorkerKilled");
        assert_eq!(shim.get("/").text(), "fine", "{}", shim.output());
    }
}

#[test]
fn no_room_is_429_with_retry_after() {
    let code = "module.exports.handle = () => new Promise((done) => setTimeout(() => done('x'), 800));\n";
    let mut shim = Plan::new(Language::Node, code)
        .with("SCW_MAX_CONCURRENCY", "1")
        .with("SCW_QUEUE_SIZE", "0")
        .inherited();
    assert_eq!(shim.ready().max_concurrency, 1);
    thread::scope(|scope| {
        let answers: Vec<_> = (0..3).map(|_| scope.spawn(|| shim.get("/"))).collect();
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.join().unwrap()).collect();
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 429, 429]);
        let full = answers.iter().find(|answer| answer.status == 429).unwrap();
        assert!(full.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()), "{full:?}");
    });
}

#[test]
fn ten_megabytes_on_one_line_and_large_bodies_go_through() {
    let code = "module.exports.handle = async (event) => { console.log('x'.repeat(10 << 20)); return event.body; };\n";
    let mut shim = Plan::new(Language::Node, code).inherited();
    assert!(shim.ready().ready);
    let body = "é".repeat(1 << 20);
    let answer = shim.call("POST", "/", &[], body.as_bytes());
    assert_eq!(answer.status, 200);
    assert!(answer.body == body.as_bytes(), "{} bytes came back", answer.body.len());
}

#[test]
fn orphans_are_reaped() {
    let code = "import os, subprocess\ndef handle(event, context):\n    subprocess.Popen(['/bin/sh', '-c', '(sleep 0.05 &) ; exit 0']).wait()\n    \
        return 'fine'\n";
    let mut shim = Plan::new(Language::Python, code).inherited();
    assert!(shim.ready().ready);
    for _ in 0..5 {
        assert_eq!(shim.get("/").text(), "fine");
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let zombies = zombies_of(shim.pid());
        if zombies == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{zombies} zombies");
        thread::sleep(Duration::from_millis(10));
    }
}

fn zombies_of(parent: u32) -> usize {
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let fields: Vec<String> = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
        Some((fields.first()?.clone(), fields.get(1)?.parse::<u32>().ok()?))
    });
    stats.filter(|(state, found)| state == "Z" && *found == parent).count()
}
