//! `make demo` is a promise: the whole of it runs here.

use std::{path::Path, process::Command};

#[test]
fn the_demo_walks_the_whole_tutorial_and_leaves_nothing_running() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(root.join("scripts/demo")).env("NO_COLOR", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    for line in [
        r#"{"message":"Hello, World"}"#,
        r#"{"test":"test"}"#,
        "Your response",
        "without a token: 404",
        "with the token: 200",
        "Hello from a container",
        "the cron has called: succeeded, 200",
        "gone with its functions, its container and its cron",
        "cold start",
        "warm request",
        "nothing was left running",
    ] {
        assert!(said.contains(line), "{line:?} is not in:\n{said}\n{errors}");
    }
}
