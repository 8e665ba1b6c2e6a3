//! Go: compiled at deploy time.

use std::path::Path;

use zipship_tests::{Function, Server, Spec, Zip};

const GO: Spec<'_> = Spec { runtime: "golang", handler: ".", privacy: "public" };

#[tokio::test(flavor = "multi_thread")]
async fn go_that_does_not_compile_shows_the_compilers_lines() -> anyhow::Result<()> {
    let server = Server::start()?;
    let function = Function::create(server.api(), GO).await?;
    let broken = "package main\n\nimport \"os\"\n\nfunc main() {\n\tundefinedThing()\n}\n";
    let archive = Zip::of("handler.go", broken).file("go.mod", "module example.com/broken\n\ngo 1.21\n");
    function.upload(&archive.bytes()).await?;

    let settled = function.deploy().await?;
    assert_eq!(settled["status"], "error", "{settled}");
    let said = settled["error_message"].as_str().unwrap();
    for line in ["handler.go:3:8: \"os\" imported and not used", "handler.go:6:2: undefined: undefinedThing"]
    {
        assert!(said.contains(line), "{line:?} is not in {said:?}");
    }
    server.stop()
}

/// The layout of the document: a vendor directory and no go.mod.
#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_directory_without_go_mod_is_enough() -> anyhow::Result<()> {
    let server = Server::start()?;
    let tutorial = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial/golang");
    let archive = Zip::of_folder(&tutorial)?.without("go.mod").without("go.sum");
    let function = Function::deployed(server.api(), GO, &archive).await?;
    let answer = function.call().await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "Your response"));
    server.stop()
}

/// The layout of today: go.mod and go.sum, nothing vendored. The server fetches, in a step of its own.
#[tokio::test(flavor = "multi_thread")]
async fn modules_that_are_not_vendored_are_fetched_through_the_module_proxy() -> anyhow::Result<()> {
    let server = Server::start()?;
    let tutorial = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial/golang");
    let archive = Zip::of_folder(&tutorial)?.without_folder("vendor");
    let function = Function::deployed(server.api(), GO, &archive).await?;
    let answer = function.call().await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "Your response"));
    let builds = std::fs::read_dir(server.data().join("server/builds"))?.count();
    assert_eq!(builds, 0, "a build's files stay behind");

    // The old version goes on serving when go.sum vouches for something else, or for nothing.
    let sums = std::fs::read_to_string(tutorial.join("go.sum"))?;
    let forged = sums.replacen("h1:We2c", "h1:AAAA", 1);
    assert_ne!(forged, sums, "the pinned module has another hash");
    let without = archive.without("go.sum");
    for (archive, words) in [
        (without.clone().file("go.sum", &forged), "checksum mismatch"),
        (without.clone().file("go.sum", ""), "go.sum lacks lines"),
        (without, "run \"go mod tidy\" and add go.sum to the archive"),
    ] {
        function.upload(&archive.bytes()).await?;
        let settled = function.deploy().await?;
        assert_eq!(settled["status"], "error", "{settled}");
        let said = settled["error_message"].as_str().unwrap();
        assert!(said.contains(words), "{words:?} is not in {said:?}");
        assert_eq!(function.call().await?.text(), "Your response");
    }
    server.stop()
}
