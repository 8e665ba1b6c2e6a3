//! Node: handlers as their authors have them: bundled by the tools of the day, or written for AWS API Gateway.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::http::Request;
use crate::harness::{Language, Setup, each, output, setting};

/// The adapters, and the first lines that they run on.
const ADAPTERS: [(&str, u8); 3] =
    [("serverless-http.js", 12), ("vendia.js", 14), ("aws-serverless-express.js", 8)];
const MIDDY: u8 = 22;

fn fixture(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/node")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).expect("a fixture")
}

/// What `scripts/setup test` installed.
fn packages() -> PathBuf {
    let folder = setting("ZIPSHIP_NODE_PACKAGES").join("node_modules");
    assert!(folder.is_dir(), "{} is not there: run scripts/setup test", folder.display());
    folder
}

/// The handler of the fixtures in one file.
fn bundled(tool: &str) -> String {
    let folder = tempfile::tempdir().expect("a directory");
    for name in ["handler.js", "describe.js"] {
        std::fs::copy(fixture("bundled").join(name), folder.path().join(name)).expect("a copy");
    }
    std::os::unix::fs::symlink(packages(), folder.path().join("node_modules")).expect("a link");
    let out = folder.path().join("out.js");
    let mut command = Command::new(Language::Node.interpreter());
    command.arg(fixture("bundle.js")).arg(tool).arg(folder.path().join("handler.js")).arg(&out);
    let done = output(&mut command);
    assert!(done.status.success(), "{tool}: {}", String::from_utf8_lossy(&done.stderr));
    std::fs::read_to_string(out).expect("the bundle")
}

#[test]
fn what_ncc_webpack_and_esbuild_make_of_a_handler_runs_on_every_version() {
    for tool in ["ncc", "webpack", "esbuild"] {
        let bundle = bundled(tool);
        each(Language::nodes(), |language| {
            for handler in ["handler.handle", "build/main.js"] {
                let setup = Setup::new(language, &bundle).file("build/main.js", &bundle);
                let shim = setup.set("SCW_HANDLER", handler).start();
                let answer = shim.get("/a");
                assert_eq!(
                    (answer.status, answer.text()),
                    (200, "id 7ce5cf26-973c-54e9-8b41-f7c40986664a"),
                    "{language:?} {tool} {:?}",
                    shim.ready
                );
            }
        });
    }
}

/// A handler of the fixtures with all packages that are installed.
fn gateway(language: Language, name: &str) -> crate::harness::Shim {
    let setup = Setup::new(language, "").link("node_modules", &packages());
    let setup = setup.file("app.js", &text("gateway/app.js")).file(name, &text(&format!("gateway/{name}")));
    let handler = name.rsplit_once('.').expect("an ending").0;
    let shim = setup.set("SCW_HANDLER", &format!("{handler}.handle")).start();
    assert!(shim.ready.ready, "{language:?} {name}: {:?}", shim.ready);
    shim
}

#[test]
fn express_behind_the_adapters_for_api_gateway_runs_unmodified() {
    each(Language::nodes(), |language| {
        for (name, _) in ADAPTERS.into_iter().filter(|(_, first)| language.node_line() >= Some(*first)) {
            let shim = gateway(language, name);
            let greeted = shim.get("/greet/Ada?x=1&y=2");
            let expected = serde_json::json!({"name": "Ada", "query": {"x": "1", "y": "2"}});
            assert_eq!((greeted.status, greeted.json()), (200, expected), "{language:?} {name}");
            assert_eq!(greeted.header("set-cookie").as_deref(), Some("a=1; Path=/ | b=2; Path=/"), "{name}");
            assert_eq!(shim.get("/missing").status, 404, "{language:?} {name}");
            let post = |kind: &str, body: &[u8]| {
                shim.call(Request::new("POST", "/echo").header("Content-Type", kind).body(body))
            };
            let sent = post("application/json", "{\"é\":[1]}".as_bytes());
            assert_eq!(sent.json(), serde_json::json!({"é": [1]}), "{language:?} {name}");
            let bytes: Vec<u8> = (0..=255).collect();
            let sent = post("application/octet-stream", &bytes);
            assert!(sent.body == bytes, "{language:?} {name}: {sent:?}");
        }
    });
}

#[test]
fn a_handler_with_middlewares_runs_unmodified() {
    each(Language::nodes(), |language| {
        if language.node_line() < Some(MIDDY) {
            return;
        }
        let shim = gateway(language, "middy.mjs");
        let answer = shim.get("/");
        assert_eq!((answer.status, answer.text()), (200, "seen: true"), "{language:?}");
        assert_eq!(answer.header("x-remaining").as_deref(), Some("true"), "{language:?}");
        let failed = shim.get("/fails");
        assert_eq!((failed.status, failed.text()), (418, "caught by a middleware"), "{language:?}");
    });
}
