//! Go handlers: `aws-lambda-go` unmodified, and one with an HTTP server of its own. Found out, not configured.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::world::{Plan, Shim};

fn build(name: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/golang").join(name);
    for entry in fs::read_dir(&source).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let program = folder.path().join("handler");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(folder.path())
        .env("CGO_ENABLED", "0")
        .output()
        .expect("go is installed; scripts/setup test does it");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let program = program.display().to_string();
    (folder, program)
}

fn started(program: &str) -> Shim {
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut shim = Plan::bare()
        .argument("--handler", program)
        .with("ZIPSHIP_LANGUAGE", "golang")
        .with("SCW_HANDLER", ".")
        .with("SCW_PUBLIC", "true")
        .with("SCW_UPSTREAM_PORT", &upstream.to_string())
        .inherited();
    let ready = shim.ready();
    assert!(ready.ready, "{ready:?}");
    shim
}

#[test]
fn both_forms_answer_fail_die_and_answer_again() {
    for name in ["lambda", "http"] {
        let (_folder, program) = build(name);
        let shim = started(&program);
        let answer = shim.call("POST", "/path", &[], "héllo".as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (201, "héllo/path"), "{name}");
        let failed = shim.get("/fail");
        assert_eq!(failed.status, 500, "{name}: {}", failed.text());
        assert!(
            failed.json()["errorMessage"].as_str().unwrap().contains("boom"),
            "{name}: {}",
            failed.text()
        );
        assert_eq!(shim.get("/die").status, 502, "{name}");
        assert_eq!(shim.get("/again").status, 201, "{name}: {}", shim.output());
    }
}
