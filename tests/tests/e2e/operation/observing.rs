//! Health, metrics, and logs that tell which request they are of.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::{Answer, Function, Place, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };

/// Samples of a page, as the Prometheus project's own parser reads them.
fn samples(page: &[u8]) -> anyhow::Result<Vec<Value>> {
    let place = Place::find()?;
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/openmetrics/samples.py");
    let mut parser = Command::new(place.existing("ZIPSHIP_INTERPRETERS")?.join("python313/bin/python"))
        .arg(program)
        .env("PYTHONPATH", place.existing("ZIPSHIP_CLIENTS")?.join("openmetrics"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    parser.stdin.take().context("standard input")?.write_all(page)?;
    let output = parser.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The value of one series.
fn value(samples: &[Value], name: &str, labels: &Value) -> f64 {
    let found = samples.iter().find(|sample| sample["name"] == name && sample["labels"] == *labels);
    found.and_then(|sample| sample["value"].as_f64()).unwrap_or(-1.0)
}

/// Where the log says that metrics are.
fn metrics_of(server: &Server) -> anyhow::Result<String> {
    let log = server.log();
    let told = log.lines().find(|line| line.contains("metrics are served")).context("it says where")?;
    let line: Value = serde_json::from_str(told)?;
    Ok(format!("http://{}", line["fields"]["address"].as_str().context("an address")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened_and_an_independent_parser_reads_them() -> anyhow::Result<()> {
    let server = Server::start_with(&["--metrics-listen", "127.0.0.1:0"])?;
    let api = server.api();
    let code =
        "module.exports.handle = async (event) => ({statusCode: Number(event.path.slice(1)) || 200});\n";
    let function = Function::deployed(api, NODE, &Zip::of("handler.js", code)).await?;
    for path in ["/200", "/404", "/503"] {
        Answer::of(function.request(Method::GET, path)).await?;
    }
    let _ = api.get("functions/none").await?.expect(404);
    let broken = Function::create_in(api, &function.namespace, Spec { handler: "none.handle", ..NODE }).await;
    if let Ok(broken) = broken {
        broken.upload(&Zip::of("handler.js", code).bytes()).await?;
        assert_eq!(broken.deploy().await?["status"], "error");
    }

    let page = Answer::of(api.request(Method::GET, &format!("{}/metrics", metrics_of(&server)?))).await?;
    assert_eq!(page.status, 200);
    ensure!(page.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    let samples = samples(&page.body)?;
    let of = |name: &str, labels: Value| value(&samples, name, &labels);
    for class in ["2xx", "4xx", "5xx"] {
        // The deploys' probes are calls through the public path too.
        ensure!(of("zipship_calls_total", json!({"class": class})) >= 1.0, "{class}: {samples:?}");
    }
    assert_eq!(of("zipship_api_requests_total", json!({"operation": "getFunction", "status": "404"})), 1.0);
    assert_eq!(of("zipship_deploys_total", json!({"outcome": "ready"})), 1.0);
    assert_eq!(of("zipship_deploys_total", json!({"outcome": "error"})), 1.0);
    ensure!(of("zipship_deploy_duration_seconds_count", json!({"outcome": "ready"})) == 1.0);
    ensure!(of("zipship_instance_starts_total", json!({"outcome": "ready"})) >= 1.0);
    ensure!(of("zipship_instance_start_duration_seconds_count", json!({})) >= 1.0);
    assert_eq!(of("zipship_instances", json!({"state": "ready"})), 1.0);
    assert_eq!(of("zipship_calls_held", json!({})), 0.0);
    assert_eq!(of("zipship_calls_in_flight", json!({})), 0.0);
    assert_eq!(of("zipship_deploys_queued", json!({})), 0.0);
    ensure!(of("zipship_registry_bytes", json!({})) > 1e6);
    assert_eq!(of("zipship_build_info", json!({"version": env!("CARGO_PKG_VERSION")})), 1.0);
    let text = page.text();
    ensure!(!text.contains(&function.id) && !text.contains(api.organization()), "no series is a user's");
    let public = Answer::of(api.request(Method::GET, &format!("{}/metrics", api.url()))).await?;
    assert_eq!(public.status, 404, "not where everybody comes");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_so_and_every_log_line_of_a_request_has_its_id() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[("ZIPSHIP_LOG_LEVEL", "debug")])?;
    let api = server.api();
    for (path, status) in [("healthz", "alive"), ("readyz", "ready")] {
        let answer = Answer::of(api.request(Method::GET, &format!("{}/{path}", api.url()))).await?;
        assert_eq!(answer.expect(200)["status"], status);
        ensure!(!answer.header("x-request-id").is_empty(), "{path} has a request id");
    }
    let registry = Answer::of(api.request(Method::GET, &format!("{}/v2/", api.url()))).await?;
    ensure!(registry.status == 401 && !registry.header("x-request-id").is_empty());

    let function =
        Function::deployed(api, NODE, &Zip::of("handler.js", "module.exports.handle = async () => 'a';\n"))
            .await?;
    let url = format!("{}/functions/v1alpha2/regions/fr-par/namespaces/none", api.url());
    let asked =
        api.request(Method::GET, &url).header("X-Auth-Token", api.key()).header("X-Request-Id", "of-the-api");
    assert_eq!(Answer::of(asked).await?.status, 404);
    let called = function.request(Method::GET, "/").header("X-Request-Id", "of-the-call");
    assert_eq!(Answer::of(called).await?.header("x-request-id"), "of-the-call");

    let log = server.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let answered =
        |line: &&Value| line["span"]["request.id"] == "of-the-api" && line["fields"]["message"] == "answered";
    let api_line = lines.iter().find(answered).context("the API's line")?;
    assert_eq!(api_line["fields"]["status"], 404);
    assert_eq!(api_line["span"]["path"], "/functions/v1alpha2/regions/fr-par/namespaces/none");
    let call =
        lines.iter().find(|line| line["fields"]["request.id"] == "of-the-call").context("the call's line")?;
    assert_eq!((&call["fields"]["message"], &call["fields"]["status"]), (&json!("called"), &json!(200)));
    server.stop()
}
