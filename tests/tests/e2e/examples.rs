//! The handlers that a user would copy answer as `example.json` beside them says.

use anyhow::Context;
use zipship_tests::{Example, Function, Server};

#[tokio::test(flavor = "multi_thread")]
async fn the_node_examples_answer_as_written() -> anyhow::Result<()> {
    all_examples_of("node").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_examples_answer_as_written() -> anyhow::Result<()> {
    all_examples_of("python").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_examples_answer_as_written() -> anyhow::Result<()> {
    all_examples_of("golang").await
}

async fn all_examples_of(language: &str) -> anyhow::Result<()> {
    let server = Server::start()?;
    let names = Example::names(language)?;
    assert!(names.len() >= 2, "{language} has two examples at least, found {names:?}");
    for name in names {
        let example = Example::read(&name)?;
        assert!(!example.calls.is_empty(), "{name} expects nothing");
        let function = Function::deployed(server.api(), example.spec(), &example.archive()?).await;
        let function = function.with_context(|| name.clone())?;
        for call in &example.calls {
            call.check(&function).await.with_context(|| name.clone())?;
        }
    }
    server.stop()
}
