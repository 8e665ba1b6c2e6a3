//! `zipship deploy DIR`, and calling what it deployed.

use std::path::Path;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use zipship_tests::{Answer, Server};

fn directory(files: &[(&str, &str)]) -> anyhow::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text)?;
    }
    Ok(directory)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn get(server: &Server, url: &str) -> anyhow::Result<Answer> {
    Answer::of(server.api().request(Method::GET, url)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_each_language_answers_at_the_printed_url() -> anyhow::Result<()> {
    let server = Server::start()?;
    let node = directory(&[("handler.js", "exports.handle = async () => process.env.WORD || 'node';")])?;
    let python = directory(&[("app.py", "def run(event, context):\n    return 'python'\n")])?;
    let golang = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial/golang");
    for (arguments, answer) in [
        (&[text(node.path()), "--runtime", "node22", "--name", "hello"][..], "node"),
        (&[text(python.path()), "--runtime", "python3", "--name", "snake", "--handler", "app.run"], "python"),
        (&[text(&golang), "--runtime", "golang", "--name", "gopher", "-n", "other"], "Your response"),
    ] {
        let ran = server.run(&[&["deploy"], arguments].concat())?;
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout.lines().count(), 1, "nothing but the URL: {ran:?}");
        let answered = get(&server, ran.last_line()).await?;
        assert_eq!((answered.status, answered.text().as_str()), (200, answer), "{ran:?}");
    }
    let namespaces = server.printed(&["namespace", "list"])?;
    let mut names: Vec<_> = namespaces.as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, [json!("default"), json!("other")]);

    // Again: what differs is changed, what was not said stays.
    let again = ["deploy", text(node.path()), "--name", "hello", "--env", "WORD=changed"];
    let printed = server.printed(&again)?;
    assert_eq!(printed["function"]["runtime"], "node22");
    assert_eq!(get(&server, printed["function"]["endpoint"].as_str().unwrap()).await?.text(), "changed");
    let followed = server.run(&["deploy", text(python.path()), "--name", "snake", "--follow"])?;
    for step in ["deploy: building the image", "deploy: version 2 is ready"] {
        assert!(followed.stderr.contains(step), "{step:?} is not told: {followed:?}");
    }
    assert!(!followed.stderr.contains("version 1 is ready"), "only of this deploy: {followed:?}");
    let unchanged = server.printed(&["deploy", text(python.path()), "--name", "snake"])?;
    assert_eq!(unchanged["function"]["handler"], "app.run");
    assert_eq!(server.printed(&["function", "list"])?.as_array().unwrap().len(), 3);

    // Private: nobody without a token, and `invoke` has one.
    let private = server.printed(&["deploy", text(node.path()), "--name", "hello", "--private"])?;
    assert_eq!(get(&server, private["function"]["endpoint"].as_str().unwrap()).await?.status, 404);
    let invoked = server.run(&["invoke", "hello", "--include"])?;
    assert_eq!(invoked.code, Some(0), "{invoked:?}");
    assert!(invoked.stdout.starts_with("HTTP/1.1 200") && invoked.stdout.ends_with("changed"), "{invoked:?}");
    let invoked = server.printed(&["invoke", "snake", "--body", "x"])?;
    assert_eq!((&invoked["status"], &invoked["body"]), (&json!(200), &json!("python")));
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_fails_prints_the_compilers_words_and_the_old_version_serves() -> anyhow::Result<()> {
    let server = Server::start()?;
    let broken = directory(&[
        ("main.go", "package main\n\nimport \"os\"\n\nfunc main() {\n\tundefinedThing()\n}\n"),
        ("go.mod", "module example.com/broken\n\ngo 1.21\n"),
    ])?;
    let ran = server.run(&["deploy", text(broken.path()), "--runtime", "golang", "--name", "broken"])?;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("main.go:6:2: undefined: undefinedThing"), "{ran:?}");
    let invoked = server.run(&["invoke", "broken"])?;
    assert_eq!(invoked.code, Some(1), "{invoked:?}");

    let node = directory(&[("handler.js", "exports.handle = async () => 'old';")])?;
    let deploy = ["deploy", text(node.path()), "--runtime", "node22", "--name", "hello"];
    let url = server.run(&deploy)?.last_line().to_owned();
    std::fs::write(node.path().join("handler.js"), "require('no-such-package');")?;
    let ran = server.run(&deploy)?;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("Cannot find module 'no-such-package'"), "{ran:?}");
    assert_eq!(get(&server, &url).await?.text(), "old");
    let status = server.printed(&["function", "get", "hello"])?;
    assert_eq!(status["status"], "error");
    server.stop()
}
