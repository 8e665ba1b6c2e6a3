//! schemathesis reads the API's own description and asks a running server whatever it allows and forbids, one request
//! after the other along the description's links. `make fuzz-api cases=50000 seed=7` asks more.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use zipship_tests::{Place, Server, Zip};

/// Names another seed than 1.
const SEED: &str = "ZIPSHIP_FUZZ_SEED";
/// Names how many cases are to be steps of a way along links, where not [`STATEFUL_CASES`].
const CASES: &str = "ZIPSHIP_FUZZ_CASES";
const STATEFUL_CASES: usize = 5000;
/// Every run brings more than so many of them.
const LEAST_OF_A_RUN: usize = 1000;
/// The first run also tries every argument's edges.
const ALL: &str = "examples,coverage,fuzzing,stateful";
const STATEFUL: &str = "stateful";
/// Deploys of an archive that deploys, for each run: each starts an instance.
const DEPLOYS: usize = 12;
/// No run takes so long, on any machine.
const SECONDS: &str = "2400";

/// One answer, as `hooks.py` writes it down.
#[derive(Debug, Deserialize)]
struct Case {
    operation: String,
    status: u16,
    phase: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_reaches_every_operation_and_finds_no_answer_that_is_not_described() -> anyhow::Result<()> {
    let (first, wanted) = (named(SEED)?.unwrap_or(1), named(CASES)?.unwrap_or(STATEFUL_CASES));
    // Its bound for callers without a good key is not what is looked at here.
    let server = Server::start_with(&["--address-rate", "0"])?;
    let scratch = tempfile::tempdir()?;
    let archive = scratch.path().join("hello.zip");
    fs::write(&archive, Zip::of("handler.js", "exports.handle = () => 'hello'").bytes())?;
    let mut cases = run(ALL, &server, &archive, first)?;
    // Ways are of any length: where they were short there are more, with the next seeds.
    for seed in first + 1..=first + wanted / LEAST_OF_A_RUN {
        if stateful(&cases) < wanted {
            cases.extend(run(STATEFUL, &server, &archive, seed)?);
        }
    }
    judge(&cases, wanted, &document(&server).await?);
    let log = server.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains(r#""level":"ERROR""#)).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    server.stop()
}

fn named(variable: &str) -> anyhow::Result<Option<usize>> {
    std::env::var(variable).ok().map(|text| text.parse()).transpose().context(variable.to_owned())
}

/// What a run asked for, once it has found nothing.
fn run(phases: &str, server: &Server, archive: &Path, seed: usize) -> anyhow::Result<Vec<Case>> {
    let scratch = tempfile::tempdir()?;
    let report = scratch.path().join("report");
    let mut command = schemathesis(server, archive, &report)?;
    let output = command
        .args(["--phases", phases, "--seed", &seed.to_string()])
        .current_dir(scratch.path())
        .output()?;
    assert!(output.status.success(), "{SEED}={seed}: {}\n{}", output.status, said(&output));
    read(&report)
}

fn stateful(cases: &[Case]) -> usize {
    cases.iter().filter(|case| case.phase.as_deref() == Some("stateful")).count()
}

fn schemathesis(server: &Server, archive: &Path, report: &Path) -> anyhow::Result<Command> {
    let place = Place::find()?;
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/schemathesis");
    let packages = place.existing("ZIPSHIP_CLIENTS")?.join("schemathesis");
    let world = json!({
        "url": server.api().url(), "key": server.api().key(), "archive": archive, "report": report, "deploys": DEPLOYS,
    });
    // Bytecode is kept, and none is written beside the sources.
    let compiled = place.path("ZIPSHIP_CACHE")?.join("bytecode");
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=10", SECONDS])
        .arg(place.existing("ZIPSHIP_INTERPRETERS")?.join("python313/bin/python"))
        .args(["-m", "schemathesis.cli", "--config-file", &format!("{sources}/schemathesis.toml"), "run"])
        .arg(format!("{}/openapi.json", server.api().url()))
        .args(["--header", &format!("X-Auth-Token: {}", server.api().key())])
        .args(["--continue-on-failure", "--max-failures", "10", "--no-shrink"])
        .env("PYTHONPATH", format!("{sources}:{}", packages.display()))
        .env("PYTHONPYCACHEPREFIX", compiled)
        // A proxy of the machine has no business on loopback.
        .env("NO_PROXY", "127.0.0.1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("ZIPSHIP_FUZZ", world.to_string())
        .stdin(Stdio::null());
    Ok(command)
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    let failures = text.find("FAILURES").or_else(|| text.find("ERRORS")).unwrap_or_default();
    text.get(failures..).unwrap_or(&text).to_owned()
}

fn read(report: &Path) -> anyhow::Result<Vec<Case>> {
    let text = fs::read_to_string(report).context("schemathesis asked for nothing")?;
    text.lines().map(|line| serde_json::from_str(line).context("a line of the report")).collect()
}

async fn document(server: &Server) -> anyhow::Result<Value> {
    let url = format!("{}/openapi.json", server.api().url());
    let request = server.api().request(reqwest::Method::GET, &url);
    Ok(zipship_tests::Answer::of(request).await?.json())
}

/// Every operation was done at least once, none ended in a 5xx, and enough cases went along links.
fn judge(cases: &[Case], wanted: usize, document: &Value) {
    let mut done: BTreeMap<&str, usize> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| (operation["operationId"].as_str().unwrap(), 0))
        .collect();
    for case in cases.iter().filter(|case| (200..300).contains(&case.status)) {
        *done.get_mut(case.operation.as_str()).unwrap() += 1;
    }
    let stateful = stateful(cases);
    println!("{} cases, {stateful} of them stateful; answered 2xx: {done:?}", cases.len());
    let broken: Vec<_> = cases.iter().filter(|case| case.status >= 500).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let unreached: Vec<_> = done.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name).collect();
    assert!(unreached.is_empty(), "never answered 2xx: {unreached:?}");
    assert!(stateful >= wanted, "{stateful} stateful cases, at least {wanted} are wanted");
}
