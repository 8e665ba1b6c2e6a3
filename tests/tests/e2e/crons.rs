//! Crons of the real server: what a function gets, and what its owner can read about it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use zipship_tests::{Answer, Api, Container, Function, Server, Spec, Zip};

use crate::containers::Workshop;

/// Sets the clock of crons ahead of the machine's, in milliseconds.
const CLOCK_AHEAD: &str = "ZIPSHIP_CRON_CLOCK_AHEAD_MS";
/// The next minute begins so long after a start.
const LEAD_MS: i64 = 8_000;
const MINUTE_MS: i64 = 60_000;
/// A start that took too long costs a whole minute.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

/// Keeps what was posted, and tells it to whoever asks.
const KEEPER: &str = "const seen = []; module.exports.handle = async (event) => {
    if (event.httpMethod === 'POST') seen.push(event);
    return { body: JSON.stringify(seen) };
};";

/// Starts a server whose crons tick at the minute that begins soon; the answer is that instant.
pub(crate) fn launch_before_a_tick(
    server: &mut Server,
    environment: &[(&str, &str)],
) -> anyhow::Result<Timestamp> {
    let now = Timestamp::now().as_millisecond();
    launch_before(server, (now / MINUTE_MS + 1) * MINUTE_MS, environment)
}

/// Starts a server whose crons will soon say that it is `tick`, in milliseconds since the Unix epoch.
pub(crate) fn launch_before(
    server: &mut Server,
    tick: i64,
    environment: &[(&str, &str)],
) -> anyhow::Result<Timestamp> {
    let ahead = (tick - LEAD_MS - Timestamp::now().as_millisecond()).to_string();
    server.launch(&[environment, &[(CLOCK_AHEAD, ahead.as_str())]].concat())?;
    Ok(Timestamp::from_millisecond(tick)?)
}

/// The cron, once `done` says so.
pub(crate) async fn cron_when(api: &Api, id: &str, done: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let deadline = Instant::now() + LIMIT;
    loop {
        // A server that is being started again answers nothing.
        let answer = api.get(&format!("crons/{id}")).await;
        if let Ok(answer) = answer {
            let cron = answer.expect(200);
            if done(&cron) {
                return Ok(cron);
            }
            ensure!(Instant::now() < deadline, "it never came: {cron}");
        }
        ensure!(Instant::now() < deadline, "the server does not answer");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the last call has ended.
pub(crate) fn has_run(cron: &Value) -> bool {
    cron["last_run"].is_object() && cron["last_run"]["state"] != "running"
}

/// Id of a new cron that ticks each minute.
pub(crate) async fn create(api: &Api, function: &str, args: Value) -> anyhow::Result<String> {
    let body = json!({"application_id": function, "schedule": "* * * * *", "args": args});
    let created = api.post("crons", &body).await?.expect(200);
    Ok(created["id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_calls_private_functions_and_containers_and_what_came_of_it_is_told() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let spec = |privacy| Spec { runtime: "node10", handler: "handler.handle", privacy };
    let keeper = Zip::of("handler.js", KEEPER);
    let public = Function::deployed(server.api(), spec("public"), &keeper).await?;
    let private = Function::create_in(server.api(), &public.namespace, spec("private")).await?;
    private.redeploy(&keeper).await?;
    let broken = Function::create_in(server.api(), &public.namespace, spec("public")).await?;
    broken.redeploy(&Zip::of("handler.js", "exports.handle = async () => { throw Error('boom') };")).await?;
    let absent = Function::create_in(server.api(), &public.namespace, spec("public")).await?;
    let mut crons = Vec::new();
    let container = private_container(&server, &public.namespace).await?;
    for id in [&public.id, &private.id, &broken.id, &absent.id, &container.id] {
        crons.push(create(server.api(), id, json!({"job": "clean", "deep": [1, null]})).await?);
    }
    // Of the instances of the deploys nothing is left: each call finds none.
    server.halt()?;
    let tick = launch_before_a_tick(&mut server, &[])?;

    let mut runs = Vec::new();
    for cron in &crons {
        runs.push(cron_when(server.api(), cron, has_run).await?["last_run"].clone());
    }
    for (run, (state, status, words)) in runs.iter().zip([
        ("succeeded", json!(200), ""),
        ("succeeded", json!(200), ""),
        ("failed", json!(500), "boom"),
        ("failed", json!(404), "there is no function or container at this address"),
        ("succeeded", json!(200), ""),
    ]) {
        assert_eq!((&run["state"], &run["status_code"]), (&json!(state), &status), "{run}");
        assert_eq!(run["error_message"], words, "{run}");
        let ticked: Timestamp = run["tick"].as_str().unwrap().parse()?;
        assert!(ticked >= tick && ticked.as_millisecond() % MINUTE_MS == 0, "{run}");
        let started: Timestamp = run["started"].as_str().unwrap().parse()?;
        assert!(started >= ticked, "not before its time: {run}");
    }
    for (function, run) in [(&public, &runs[0]), (&private, &runs[1])] {
        let seen = seen(server.api(), function).await?;
        let [event, ..] = seen.as_slice() else { anyhow::bail!("it got nothing") };
        let body: Value = serde_json::from_str(event["body"].as_str().unwrap())?;
        assert_eq!(body, json!({"job": "clean", "deep": [1, null]}));
        let headers = &event["headers"];
        assert_eq!((&event["path"], &headers["Content-Type"]), (&json!("/"), &json!("application/json")));
        assert_eq!(headers["X-Request-Id"], run["request_id"]);
        assert!(headers["User-Agent"].as_str().unwrap().starts_with("zipship-cron/"), "{headers}");
        let token = headers.as_object().unwrap().keys().find(|name| name.to_lowercase().contains("token"));
        assert_eq!(token, None, "user code sees no token");
    }
    server.stop()
}

/// One that checks tokens itself, and is called without one in vain.
async fn private_container(server: &Server, namespace: &str) -> anyhow::Result<Container> {
    let workshop = Workshop::new(server);
    workshop.login("skopeo");
    let container = Container::create(server.api(), namespace, "c", &json!({"privacy": "private"})).await?;
    workshop.push(&workshop.image("c", &["--config.entrypoint", "/usr/bin/program"]), &container.image);
    container.deployed().await?;
    assert_eq!(container.call("").await?.status, 403);
    Ok(container)
}

/// What a keeper got by POST.
async fn seen(api: &Api, function: &Function) -> anyhow::Result<Vec<Value>> {
    let issued = api.get(&format!("jwt/issue?function_id={}", function.id)).await?.expect(200);
    let request = function.request(Method::GET, "");
    let answer = Answer::of(request.header("SCW-Functions-Token", issued["token"].as_str().unwrap())).await?;
    Ok(serde_json::from_str(&answer.text())?)
}
