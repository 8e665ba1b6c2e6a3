//! The handlers that are there to be copied answer here as when deployed.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::runtime::{Language, Runtime};
use serde_json::Value;

use crate::harness::{Project, setting};

fn bytes(of: &Value) -> Option<Vec<u8>> {
    let encoded = of["body_base64"].as_str().map(|text| STANDARD.decode(text).expect("base64"));
    encoded.or_else(|| of["body"].as_str().map(|text| text.as_bytes().to_vec()))
}

#[test]
fn the_examples_answer_as_when_deployed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../handlers-examples");
    let mut calls = 0;
    for language in ["node", "python"] {
        let examples = std::fs::read_dir(root.join(language)).expect("examples").flatten();
        for example in examples {
            calls += run(&example.path());
        }
    }
    assert!(calls >= 8, "{calls}");
}

fn run(example: &Path) -> usize {
    let project = Project::new(&[]);
    copy(example, example, &project);
    let text = std::fs::read_to_string(example.join("example.json")).expect("example.json");
    let about: Value = serde_json::from_str(&text).expect("JSON");
    let calls = about["calls"].as_array().expect("calls");
    for call in calls {
        check(&project, &about, call);
    }
    calls.len()
}

/// The interpreter of the example's runtime: the machine's own may be another version.
fn interpreter(about: &Value) -> String {
    let runtime = about["runtime"].as_str().and_then(Runtime::from_name).expect("a runtime");
    let program = if runtime.language() == Language::Node { "bin/node" } else { "bin/python" };
    setting("ZIPSHIP_INTERPRETERS").join(runtime.base()).join(program).display().to_string()
}

fn check(project: &Project, about: &Value, call: &Value) {
    let request = &call["request"];
    let interpreter = interpreter(about);
    let mut arguments = vec!["--runtime", about["runtime"].as_str().expect("a runtime"), "--json"];
    arguments.extend(["--handler", about["handler"].as_str().expect("a handler")]);
    arguments.extend(["--interpreter", &interpreter]);
    arguments.extend(["-X", request["method"].as_str().expect("a method")]);
    arguments.extend(["--path", request["path"].as_str().expect("a path")]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let body = format!("@{}", file.path().display());
    if let Some(bytes) = bytes(request) {
        std::fs::write(file.path(), bytes).expect("a file");
        arguments.extend(["--body", &body]);
    }
    let invoked = project.invoke(&arguments);
    assert_eq!(invoked.code, Some(0), "{call} {invoked:?}");
    let (got, wanted) = (invoked.json(), &call["answer"]);
    assert_eq!(got["status"], wanted["status"], "{call} {got}");
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let pair = Value::from(vec![Value::from(name.as_str()), value.clone()]);
        assert!(got["headers"].as_array().expect("headers").contains(&pair), "{call} {got}");
    }
    let body = got["body"].as_str().expect("a body");
    let body = match got["is_base64_encoded"] == true {
        true => STANDARD.decode(body).expect("base64"),
        false => body.as_bytes().to_vec(),
    };
    if let Some(wanted) = bytes(wanted) {
        assert_eq!(body, wanted, "{call} {got}");
    }
    if !wanted["json"].is_null() {
        assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), wanted["json"], "{call}");
    }
}

fn copy(root: &Path, folder: &Path, project: &Project) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path: PathBuf = entry.path();
        if path.is_dir() {
            copy(root, &path, project);
        } else {
            let name = path.strip_prefix(root).expect("below").to_str().expect("text");
            project.write(name, &std::fs::read_to_string(&path).expect("text"));
        }
    }
}
