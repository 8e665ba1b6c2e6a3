//! `zipship deploy`: what it refuses before anything is deployed. Real deploys are in the end-to-end tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::process::Command;

use serde_json::json;

use crate::harness::{Project, Served, error};

fn deploy(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zipship"));
    let output = command.arg("deploy").args(arguments).env_remove("ZIPSHIP_API_KEY").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn wrong_arguments_are_told_without_a_server() {
    let project = Project::new(&[("handler.js", "")]);
    let directory = project.path().to_str().unwrap();
    let (code, said) = deploy(&["/no/such", "--name", "x"]);
    assert!(code == Some(2) && said.contains("/no/such"), "{said}");
    let (code, said) = deploy(&[directory, "--env", "1X=1"]);
    assert!(code == Some(2) && said.contains("write NAME=VALUE"), "{said}");
    let (code, said) = deploy(&[directory, "--env", "SCW_PUBLIC=1"]);
    assert!(code == Some(2) && said.contains("SCW_PUBLIC is the platform's own"), "{said}");
    let (code, said) = deploy(&[directory, "--timeout", "soon"]);
    assert!(code == Some(2) && said.contains("1500ms or 2s"), "{said}");
    let (code, said) = deploy(&[directory, "--private", "--public"]);
    assert!(code == Some(2) && said.contains("cannot be used with"), "{said}");
    assert_eq!(deploy(&[]).0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_for_a_directory_without_the_handler() {
    let served = Served::start().await;
    let project = Project::new(&[("index.js", "")]);
    let directory = project.path().to_str().unwrap();
    let output = served.run(&["deploy", directory, "--runtime", "node22", "--name", "hello"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("looked for handler.js, handler.mjs") && said.contains("--handler"), "{said}");
    assert_eq!(served.json(&["namespace", "list"]), json!([]));
    let output = served.run(&["deploy", directory, "--runtime", "node99"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no \"node99\"; there are golang"));
    // What only the server knows is told in its words.
    let refused = served.run(&["deploy", directory, "--handler", "index.js", "--memory", "300"]);
    assert!(error(&refused).contains("memory_limit"));
}

#[test]
fn shells_get_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_zipship")).args(["completion", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{shell}");
        for name in ["deploy", "unlock", "env-file", "namespace"] {
            assert!(script.contains(name), "{shell} does not know {name}");
        }
    }
    // Like `| head`, which goes before all is read.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let unread = Command::new(env!("CARGO_BIN_EXE_zipship"))
        .args(["completion", "bash"])
        .stdout(writer)
        .output()
        .unwrap();
    assert!(unread.status.success() && unread.stderr.is_empty(), "{unread:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_zipship")).args(["completion", "tcsh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
