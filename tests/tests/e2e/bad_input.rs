//! Requests and archives that are wrong are refused, each with what was wrong.

use serde_json::{Value, json};
use zipship_tests::{Api, Function, Server, Spec, Zip};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };

#[tokio::test(flavor = "multi_thread")]
async fn the_api_refuses_by_name() -> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();

    for key in [UNKNOWN, "", "nonsense"] {
        let refused = api.with_key(key).get("namespaces").await?.expect(401);
        assert_eq!(refused["type"], "denied_authentication", "{refused}");
        assert_message(&refused);
    }

    for path in [format!("functions/{UNKNOWN}"), format!("namespaces/{UNKNOWN}"), "functions/x".into()] {
        let refused = api.get(&path).await?.expect(404);
        assert_eq!(refused["type"], "not_found", "{path}: {refused}");
        assert_message(&refused);
    }

    refuses_argument(api, "namespaces", &json!({}), "name").await?;
    refuses_argument(api, "functions", &json!({"name": "f"}), "namespace_id").await?;

    let function = Function::create(api, NODE).await?;
    let namespace = function.namespace.as_str();
    let odd_memory = json!({"name": "f", "namespace_id": namespace, "memory_limit": 200});
    refuses_argument(api, "functions", &odd_memory, "memory_limit").await?;
    let odd_runtime = json!({"name": "f", "namespace_id": namespace, "runtime": "cobol"});
    refuses_argument(api, "functions", &odd_runtime, "runtime").await?;
    let escaping = json!({"name": "f", "namespace_id": namespace, "runtime": "node10", "handler": "../x.y"});
    refuses_argument(api, "functions", &escaping, "handler").await?;
    let no_length = api.get(&format!("functions/{}/upload-url", function.id)).await?.expect(400);
    assert_eq!(no_length["details"][0]["argument_name"], "content_length", "{no_length}");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_needs_an_upload_of_the_length_that_was_announced() -> anyhow::Result<()> {
    let server = Server::start()?;
    let function = Function::create(server.api(), NODE).await?;
    let deploy = format!("functions/{}/deploy", function.id);

    let refused = server.api().post(&deploy, &json!({})).await?.expect(412);
    assert_eq!(refused["type"], "precondition_failed", "{refused}");
    assert!(message(&refused).contains("upload"), "it says what to do: {refused}");

    let archive = Zip::of("handler.js", "module.exports.handle = async () => 1;").bytes();
    for wrong in [archive.len() - 1, archive.len() + 1] {
        let url = function.upload_url(wrong).await?;
        let put = function.put(&url, &archive).await?;
        assert!((400..500).contains(&put.status), "{} bytes for {wrong}: {}", archive.len(), put.status);
    }
    let tampered = format!("{}0", function.upload_url(archive.len()).await?);
    let put = function.put(&tampered, &archive).await?;
    assert!((400..500).contains(&put.status), "a changed URL: {}", put.status);

    // None of these left an archive behind.
    let _ = server.api().post(&deploy, &json!({})).await?.expect(412);
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_cannot_become_an_image_says_why() -> anyhow::Result<()> {
    let server = Server::start()?;
    let function = Function::create(server.api(), NODE).await?;

    function.upload(b"this is no zip archive, only text that is long enough").await?;
    refused_deploy(&function, "zip").await?;

    function.upload(&Zip::of("other.js", "module.exports.handle = async () => 1;").bytes()).await?;
    refused_deploy(&function, "handler.js").await?;

    function.upload(&Zip::of("../handler.js", "module.exports.handle = async () => 1;").bytes()).await?;
    refused_deploy(&function, "..").await?;

    let call = function.call().await?.expect(503);
    assert_eq!(call["type"], "deploy_failed", "{call}");
    server.stop()
}

async fn refused_deploy(function: &Function, cause: &str) -> anyhow::Result<()> {
    let settled = function.deploy().await?;
    assert_eq!(settled["status"], "error", "{settled}");
    let said = settled["error_message"].as_str().unwrap();
    assert!(said.contains(cause), "{cause:?} is not in {said:?}");
    Ok(())
}

async fn refuses_argument(api: &Api, path: &str, body: &Value, argument: &str) -> anyhow::Result<()> {
    let refused = api.post(path, body).await?.expect(400);
    assert_eq!(refused["type"], "invalid_arguments", "{body}: {refused}");
    assert_eq!(refused["details"][0]["argument_name"], argument, "{body}: {refused}");
    assert_message(&refused);
    Ok(())
}

fn message(error: &Value) -> &str {
    error["message"].as_str().unwrap()
}

fn assert_message(error: &Value) {
    assert!(!message(error).is_empty(), "{error}");
}
