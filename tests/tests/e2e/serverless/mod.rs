//! The Serverless Framework with the plugin for this API, both as their registry has them: deploy, invoke, redeploy,
//! tokens, remove.

mod project;

use std::fs;

use anyhow::{Context, ensure};
use project::Project;
use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::{Answer, Api, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_node_and_python_is_deployed_called_redeployed_and_removed() -> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();
    let project = Project::of("web", api)?;

    let said = project.run(&["deploy"])?;
    let hello = endpoint(&said, "hello")?;
    let answer = call(api, &hello, None).await?.expect(200);
    assert_eq!(
        answer,
        json!({"version": "first", "everywhere": "of the namespace", "both": "of the function"})
    );
    let greeting = call(api, &endpoint(&said, "greet")?, None).await?.expect(200);
    assert_eq!(greeting, json!({"message": "Hello from python", "everywhere": "of the namespace"}));
    let namespace = namespace(api, "web").await?;
    one_cron(api, &namespace).await?;
    logs(api, &namespace).await?;

    let secret = endpoint(&said, "secret")?;
    assert_eq!(call(api, &secret, None).await?.status, 404);
    let tokens = project.run(&["jwt"])?;
    for heading in ["Namespace <web> token", "Function <secret> token"] {
        let answer = call(api, &secret, Some(token(&tokens, heading)?)).await?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "for your eyes only, GET"), "{heading}");
    }

    // The second time everything is there: it is updated, and its cron made anew.
    let handler = project.file("handler.js");
    fs::write(&handler, fs::read_to_string(&handler)?.replace("'first'", "'second'"))?;
    let again = project.run(&["deploy"])?;
    assert_eq!(endpoint(&again, "hello")?, hello, "an endpoint stays what it is");
    assert_eq!(call(api, &hello, None).await?.expect(200)["version"], "second");
    one_cron(api, &namespace).await?;

    project.run(&["remove"])?;
    assert_eq!(api.get(&format!("namespaces/{namespace}")).await?.status, 404);
    assert_eq!(call(api, &hello, None).await?.status, 404);
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_go_is_deployed_and_removed() -> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();
    let project = Project::of("golang", api)?;
    let said = project.run(&["deploy"])?;
    let first = call(api, &endpoint(&said, "first")?, None).await?.expect(200);
    assert_eq!(first, json!({"message": "We're all good", "path": "/", "local": "local"}));
    let package = call(api, &endpoint(&said, "mypackage")?, None).await?;
    assert_eq!((package.status, package.text().as_str()), (200, "My Custom Package"));
    project.run(&["remove"])?;
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_fails_says_the_real_cause() -> anyhow::Result<()> {
    let server = Server::start()?;
    let project = Project::of("golang", server.api())?;
    fs::write(
        project.file("mypackage/handler.go"),
        "package main\n\nfunc main() {\n\tundefinedThing()\n}\n",
    )?;
    let failed = project.run(&["deploy"]).expect_err("it does not compile").to_string();
    assert!(failed.contains("undefined: undefinedThing"), "{failed}");

    let project = Project::of("web", server.api())?;
    fs::write(project.file("handler.js"), "module.exports.handle = require('left-out').handle;\n")?;
    let failed = project.run(&["deploy"]).expect_err("it does not load").to_string();
    assert!(failed.contains("Cannot find module 'left-out'"), "{failed}");
    server.stop()
}

/// The address that a deploy printed for a function.
fn endpoint(said: &str, function: &str) -> anyhow::Result<String> {
    let before = format!("Function {function} has been deployed to: ");
    let line = said.lines().find_map(|line| line.split_once(&before));
    let (_, endpoint) = line.with_context(|| format!("{before:?} is not in:\n{said}"))?;
    Ok(endpoint.trim().to_owned())
}

/// The token that stands below a heading.
fn token<'a>(said: &'a str, heading: &str) -> anyhow::Result<&'a str> {
    let (_, after) = said.split_once(heading).with_context(|| format!("{heading:?} is not in:\n{said}"))?;
    Ok(after.lines().nth(1).context("a line after the heading")?.trim())
}

async fn call(api: &Api, endpoint: &str, token: Option<&str>) -> anyhow::Result<Answer> {
    let mut request = api.request(Method::GET, endpoint);
    if let Some(token) = token {
        request = request.header("SCW_FUNCTIONS_TOKEN", token);
    }
    Answer::of(request).await
}

async fn namespace(api: &Api, name: &str) -> anyhow::Result<String> {
    let found = api.get(&format!("namespaces?name={name}")).await?.expect(200);
    Ok(found["namespaces"][0]["id"].as_str().context("one namespace")?.to_owned())
}

/// The request that the plugin's `logs` makes. Its command itself finds no function with framework 3, which gives the
/// plugin the option under its long name alone.
async fn logs(api: &Api, namespace: &str) -> anyhow::Result<()> {
    let functions = api.get(&format!("namespaces/{namespace}/functions")).await?.expect(200);
    let functions = functions["functions"].as_array().context("functions")?;
    let hello = functions.iter().find(|function| function["name"] == "hello").context("hello")?;
    let id = hello["id"].as_str().context("an id")?;
    let lines = crate::logs::log_newest(api, id, "hello was called").await?;
    let said = crate::logs::messages(&lines);
    ensure!(said.contains(&"deploy: version 1 is ready"), "{said:?}");
    Ok(())
}

/// The project's function has its one cron, with the arguments of `serverless.yml`.
async fn one_cron(api: &Api, namespace: &str) -> anyhow::Result<()> {
    let functions = api.get(&format!("namespaces/{namespace}/functions")).await?.expect(200);
    let functions = functions["functions"].as_array().context("functions")?;
    let mut crons: Vec<Value> = Vec::new();
    for function in functions {
        let id = function["id"].as_str().context("an id")?;
        let found = api.get(&format!("crons?application_id={id}")).await?.expect(200);
        crons.extend(found["crons"].as_array().context("crons")?.iter().cloned());
    }
    ensure!(crons.len() == 1, "one cron was expected: {crons:?}");
    assert_eq!(crons[0]["schedule"], "1 * * * *");
    assert_eq!(crons[0]["args"], json!({"myInput": "myValue", "mySecondInput": 1}));
    assert_eq!(crons[0]["status"], "ready");
    Ok(())
}
