//! The distribution specification's own conformance suite, pinned in `conformance/go.mod`: every workflow, no failure.

use std::path::Path;

use crate::harness::*;

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry/conformance");

/// A number of the report's root, `<testsuites tests="848" failures="1" ...>`; what is not named there is 0.
fn number(report: &str, attribute: &str) -> u32 {
    let root = report.split("<testsuites").nth(1).expect("a report").split('>').next().expect("an element");
    let value = root.split(&format!(" {attribute}=\"")).nth(1).and_then(|rest| rest.split('"').next());
    value.map_or(0, |value| value.parse().expect("a number"))
}

fn failures(report: &str) -> String {
    let cases = report.split("<testcase").skip(1).filter(|case| case.contains("<failure"));
    cases.map(|case| format!("{}\n", case.chars().take(600).collect::<String>())).collect()
}

async fn run(server: &Server, results: &Path) -> std::process::Output {
    let mut go = tokio::process::Command::new("go");
    go.args(["tool", "conformance"]).current_dir(SUITE).kill_on_drop(true);
    go.env("OCI_REGISTRY", &server.address).env("OCI_TLS", "disabled").env("OCI_RESULTS_DIR", results);
    go.env("GOFLAGS", "-mod=readonly");
    go.output().await.unwrap_or_else(|error| panic!("go cannot be run: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_specifications_own_suite_finds_nothing() {
    let server = Server::start().await;
    let results = tempfile::tempdir().unwrap();
    let output = run(&server, results.path()).await;
    let report = std::fs::read_to_string(results.path().join("junit.xml"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let (tests, failed) = (number(&report, "tests"), number(&report, "failures"));
    let skipped = number(&report, "skipped");
    eprintln!("conformance: {tests} tests, {failed} failures, {skipped} skipped");
    assert_eq!(failed, 0, "{}", failures(&report));
    assert!(tests > 500, "only {tests} tests ran");
}
