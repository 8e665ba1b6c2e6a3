//! Instances that are killed while they speak: every line that reached the pipe is found, in order.
//!
//! A container's program writes a line to the pipe with one call and then its number into a file. It is stopped first
//! and its file read, so that what had certainly reached the pipe is known when it is killed. Of a function the shim
//! stands between; there the lines are those of its handler, from the first on without a gap.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use rustix::process::{Pid, Signal, kill_process};
use zipship_tests::{Api, Container, Function, Server, Zip};

use super::{NODE, container, log_when, messages};
use crate::containers::namespace;

const EACH: usize = 10;
/// All of them together say 100,000 lines, when they are let.
const LINES: u64 = 5000;
/// How long they take for it, at least (the program and the handler pause).
const SPEAKING: Duration = Duration::from_millis(2000);

const SPEAKER: &str = "const fs = require('fs');
    const speak = async (count) => {
        for (let number = 1; number <= count; number++) {
            fs.writeSync(1, `line ${number}\\n`);
            if (number % 50 === 0) await new Promise((done) => setTimeout(done, 20));
        }
    };
    module.exports.handle = async (event) => {
        speak(Number(event.queryStringParameters.count));
        return 'begun';
    };";

/// One that speaks, and is to be killed.
struct Speaker {
    id: String,
    endpoint: String,
    is_container: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_instances_killed_while_they_speak_lose_no_line_that_reached_the_pipe() -> anyhow::Result<()> {
    let server = Server::start_with(&["--log-rate", "0"])?;
    let api = server.api();
    let (namespace, _) = namespace(api, "kills").await?;
    let speakers = speakers(&server, &namespace).await?;
    try_join_all(speakers.iter().map(async |speaker| {
        let url = format!("{}/speak?count={LINES}", speaker.endpoint);
        let answer = api.request(reqwest::Method::GET, &url).send().await?;
        ensure!(answer.status() == 200, "{}", answer.text().await?);
        Ok(())
    }))
    .await?;

    let pause = SPEAKING / u32::try_from(speakers.len())?;
    let mut reached = Vec::new();
    for speaker in shuffled(&speakers) {
        tokio::time::sleep(pause).await;
        reached.push((speaker, kill(&server, speaker).await?));
    }
    let mut total = 0;
    for (speaker, reached) in reached {
        let lines = log_when(api, &speaker.id, |lines| {
            messages(lines).iter().any(|message| message.contains("killed by signal 9"))
        });
        let lines = lines.await?;
        let said: Vec<_> = messages(&lines).into_iter().filter(|line| line.starts_with("line ")).collect();
        let expected: Vec<_> = (1..=said.len()).map(|number| format!("line {number}")).collect();
        assert_eq!(said, expected, "{}", speaker.id);
        assert!(said.len() as u64 >= reached, "{} of {reached} lines of {}", said.len(), speaker.id);
        total += said.len() as u64;
    }
    let all = LINES * speakers.len() as u64;
    assert!(total > all / 10 && total < all, "{total} of {all} lines were said before the kills");
    server.stop()
}

/// Half of them containers, half of them functions; all run.
async fn speakers(server: &Server, namespace: &str) -> anyhow::Result<Vec<Speaker>> {
    let api = server.api();
    let first = container(server, namespace, "speaker").await?;
    let image = serde_json::json!({"registry_image": first.image});
    let container = async |number: usize| {
        let speaker = Container::create(api, namespace, &format!("speaker{number}"), &image).await?;
        speaker.deployed().await?;
        anyhow::Ok(Speaker { id: speaker.id, endpoint: speaker.endpoint, is_container: true })
    };
    let function = async |_| {
        let speaker = Function::create_in(api, namespace, NODE).await?;
        speaker.redeploy(&Zip::of("handler.js", SPEAKER)).await?;
        anyhow::Ok(Speaker { id: speaker.id, endpoint: speaker.endpoint, is_container: false })
    };
    let (containers, functions) =
        tokio::try_join!(try_join_all((0..EACH).map(container)), try_join_all((0..EACH).map(function)))?;
    Ok(containers.into_iter().chain(functions).collect())
}

/// Kills all that runs of a speaker; answers how many lines had certainly reached its pipe.
async fn kill(server: &Server, speaker: &Speaker) -> anyhow::Result<u64> {
    let instance = instance(server.api(), &speaker.id).await?;
    let processes = server.processes_of(&instance);
    ensure!(!processes.is_empty(), "nothing runs of {}", speaker.id);
    signal(&processes, Signal::STOP);
    let mut reached = 0;
    if speaker.is_container {
        let [process] = processes[..] else { anyhow::bail!("one process was expected: {processes:?}") };
        let told = std::fs::read(format!("/proc/{process}/root/tmp/said")).context("what it has said")?;
        reached = u64::from_le_bytes(told.as_slice().try_into().context("eight bytes")?);
    }
    signal(&processes, Signal::KILL);
    Ok(reached)
}

fn signal(processes: &[u32], signal: Signal) {
    for process in processes {
        let process = i32::try_from(*process).ok().and_then(Pid::from_raw);
        // Others end with the first one.
        process.map(|process| kill_process(process, signal));
    }
}

/// The instance that runs of an application.
async fn instance(api: &Api, application: &str) -> anyhow::Result<String> {
    let path = format!("logs?application_id={application}&order_by=timestamp_asc&page_size=100");
    let found = api.get(&path).await?.expect(200);
    let lines = found["logs"].as_array().context("logs")?;
    let id = lines.iter().filter_map(|line| line["instance_id"].as_str()).next();
    id.map(str::to_owned).context("the log names its instance")
}

/// In an order that is another one each time.
fn shuffled(speakers: &[Speaker]) -> Vec<&Speaker> {
    let mut speakers: Vec<_> = speakers.iter().collect();
    speakers.sort_by_key(|speaker| speaker.id.clone());
    speakers
}
