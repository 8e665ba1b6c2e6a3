//! Compile jobs with the machine's own Go.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use runner::local::{Client, inlet};
use runner::{Backend, CompileOutcome, CompileSpec, FORWARDER};

use crate::fixture::{Outcome, Server, read_all, require};

pub(crate) fn trials() -> Vec<Trial> {
    ["compile_makes_a_program_or_says_why_not", "compile_ends_in_time", "compile_reaches_its_forwarder_only"]
        .map(crate::scenario)
        .into()
}

pub(crate) async fn run(name: &str, server: &Server, client: &Client) -> Outcome {
    match name {
        "compile_makes_a_program_or_says_why_not" => programs(server, client).await,
        "compile_ends_in_time" => in_time(server, client).await,
        "compile_reaches_its_forwarder_only" => forwarder(server, client).await,
        _ => Err("no such scenario".into()),
    }
}

struct Job<'a> {
    id: &'a str,
    main: &'a str,
    arguments: &'a [&'a str],
    timeout: Duration,
}

async fn compile(
    server: &Server,
    client: &Client,
    job: Job<'_>,
) -> Result<(CompileOutcome, String), Box<dyn std::error::Error>> {
    compile_with(server, client, job, None).await
}

async fn compile_with(
    server: &Server,
    client: &Client,
    job: Job<'_>,
    fetching: Option<(OwnedFd, &str)>,
) -> Result<(CompileOutcome, String), Box<dyn std::error::Error>> {
    let directory = server.data.join("builds").join(job.id);
    let (source, out) = (directory.join("src"), directory.join("out"));
    fs::create_dir_all(&source)?;
    fs::create_dir_all(&out)?;
    fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
    fs::set_permissions(&out, Permissions::from_mode(0o777))?;
    fs::write(source.join("main.go"), job.main)?;
    fs::write(source.join("go.mod"), "module example.org/hello\n\ngo 1.21\n")?;
    let environment = [
        ("HOME", "/tmp"),
        ("GOCACHE", "/cache"),
        ("GOPATH", "/tmp/go"),
        ("CGO_ENABLED", "0"),
        ("GOTOOLCHAIN", "local"),
        ("GOFLAGS", "-mod=mod"),
        ("GOPROXY", fetching.as_ref().map_or("http://192.0.2.1", |(_, proxies)| proxies)),
        ("GONOSUMDB", "*"),
    ];
    let (log, far) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let spec = CompileSpec {
        id: job.id.to_owned(),
        source,
        out,
        argv: job.arguments.iter().map(|&argument| argument.to_owned()).collect(),
        environment: BTreeMap::from(environment.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        workdir: "/src".to_owned(),
        memory_mb: 1024,
        timeout: job.timeout,
        log: far,
        inlet: fetching.map(|(inlet, _)| inlet),
    };
    let (outcome, words) = tokio::join!(client.compile(spec), read_all(log.into()));
    Ok((outcome?, words?))
}

const BUILD: &[&str] = &["/usr/local/go/bin/go", "build", "-buildvcs=false", "-o", "/out/handler", "."];

async fn programs(server: &Server, client: &Client) -> Outcome {
    let timeout = Duration::from_secs(110);
    let job = Job {
        id: "hello",
        main: "package main\nfunc main() { println(\"hi\") }\n",
        arguments: BUILD,
        timeout,
    };
    let (outcome, words) = compile(server, client, job).await?;
    require(outcome == CompileOutcome::Exited(0), format!("{outcome:?}: {words}"))?;
    let output = Command::new(server.data.join("builds/hello/out/handler")).output()?;
    require(output.stderr == b"hi\n", format!("{output:?}"))?;

    let job =
        Job { id: "wrong", main: "package main\nfunc main() { nonsense() }\n", arguments: BUILD, timeout };
    let (outcome, words) = compile(server, client, job).await?;
    require(outcome == CompileOutcome::Exited(1), format!("{outcome:?}"))?;
    require(words.contains("./main.go:2:15: undefined: nonsense"), words)?;

    let main = "package main\nimport _ \"example.com/far/away\"\nfunc main() {}\n";
    let (outcome, words) =
        compile(server, client, Job { id: "far", main, arguments: BUILD, timeout }).await?;
    require(outcome == CompileOutcome::Exited(1), format!("{outcome:?}"))?;
    require(words.contains("network is unreachable"), words)
}

async fn in_time(server: &Server, client: &Client) -> Outcome {
    let arguments = &["/usr/local/go/bin/go", "env", "-w", "GOFLAGS=-mod=mod"];
    let job = Job { id: "quick", main: "package main\n", arguments, timeout: Duration::from_secs(60) };
    let (outcome, words) = compile(server, client, job).await?;
    require(outcome == CompileOutcome::Exited(0), format!("{outcome:?}: {words}"))?;
    // A compiler that never ends: a program that never ends stands in for it.
    let job = Job {
        id: "slow",
        main: "package main\nfunc main() { for {} }\n",
        arguments: &["/usr/local/go/bin/go", "run", "."],
        timeout: Duration::from_millis(500),
    };
    let (outcome, _) = compile(server, client, job).await?;
    require(outcome == CompileOutcome::TimedOut, format!("{outcome:?}"))
}

/// A job that fetches: it finds the server at one address, and nobody at any other; a second one has a socket of its
/// own at the same address.
async fn forwarder(server: &Server, client: &Client) -> Outcome {
    for (id, nobody, why) in [
        ("first", "http://192.0.2.1", "network is unreachable"),
        ("second", "http://127.0.0.1:1", "connection refused"),
    ] {
        let (inlet, far) = inlet()?;
        let served = std::thread::spawn(move || -> std::io::Result<String> {
            let listener = inlet.listener(Duration::from_secs(60))?;
            let (mut stream, _) = listener.accept()?;
            let mut request = [0; 4096];
            let length = stream.read(&mut request)?;
            stream.write_all(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
            Ok(String::from_utf8_lossy(&request[..length]).into_owned())
        });
        let proxies = format!("{nobody}|http://{FORWARDER}");
        let arguments = ["/usr/local/go/bin/go", "list", "-m", "-versions", "example.com/asked"];
        let job = Job { id, main: "package main\n", arguments: &arguments, timeout: Duration::from_secs(60) };
        let (outcome, words) = compile_with(server, client, job, Some((far, &proxies))).await?;
        require(outcome == CompileOutcome::Exited(1), format!("{outcome:?}: {words}"))?;
        require(words.contains(why), words)?;
        let asked = served.join().map_err(|_| "the thread panicked")??;
        require(asked.starts_with("GET /example.com/asked/@v/list "), asked)?;
    }
    // A job that can't be started leaves nobody waiting, and a descriptor that is no pair is refused.
    let (inlet, far) = inlet()?;
    let job = Job { id: "Not An Id", main: "", arguments: BUILD, timeout: Duration::from_secs(1) };
    require(compile_with(server, client, job, Some((far, "off"))).await.is_err(), "a wrong id was taken")?;
    require(inlet.listener(Duration::from_secs(20)).is_err(), "a socket came for no job")?;
    let job = Job { id: "pipe", main: "", arguments: BUILD, timeout: Duration::from_secs(1) };
    let (_, end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    require(
        compile_with(server, client, job, Some((end, "off"))).await.is_err(),
        "a pipe was taken for a socket",
    )
}
