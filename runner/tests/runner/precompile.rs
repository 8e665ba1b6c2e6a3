//! Precompile jobs: what they see, what they can't reach, and how much they may write.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use libtest_mimic::Trial;
use oci::Digest;
use runner::local::Client;
use runner::{Backend, CompileOutcome, PrecompileSpec, RESULT_BYTES, RunnerError, SOURCES};

use crate::fixture::{Outcome, Server, require};

pub(crate) fn trials() -> Vec<Trial> {
    [
        "precompile_reads_sources_and_writes_results_only",
        "precompile_is_limited",
        "precompile_refuses_what_is_not_the_servers",
    ]
    .map(crate::scenario)
    .into()
}

pub(crate) async fn run(name: &str, server: &Server, client: &Client) -> Outcome {
    let layer = server.busybox(client).await?;
    match name {
        "precompile_reads_sources_and_writes_results_only" => reaches(server, client, &layer).await,
        "precompile_is_limited" => limited(server, client, &layer).await,
        "precompile_refuses_what_is_not_the_servers" => refused(server, client, &layer).await,
        _ => Err("no such scenario".into()),
    }
}

/// How a script ended, what it wrote to its results, and what it said.
struct Ended {
    outcome: CompileOutcome,
    results: Vec<u8>,
    words: String,
}

/// A job that runs a script of busybox, and the files of its results and words.
fn job(
    server: &Server,
    id: &str,
    layer: &Digest,
    script: &str,
) -> std::io::Result<(PrecompileSpec, [File; 2])> {
    let folder = server.data.join("builds").join(id);
    let source = folder.join("src");
    fs::create_dir_all(&source)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    fs::write(source.join("a.py"), "print(1)\n")?;
    let (results, log) = (server.blob(b"")?, server.blob(b"")?);
    let spec = PrecompileSpec {
        id: id.to_owned(),
        layers: vec![layer.clone()],
        source,
        argv: ["/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec(),
        environment: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
        memory_mb: 64,
        timeout: Duration::from_secs(60),
        log: log.try_clone()?.into(),
        results: results.try_clone()?.into(),
    };
    Ok((spec, [results, log]))
}

async fn ran(
    client: &Client,
    (spec, [mut results, mut log]): (PrecompileSpec, [File; 2]),
) -> Result<Ended, Box<dyn std::error::Error>> {
    let outcome = client.precompile(spec).await?;
    let (mut bytes, mut words) = (Vec::new(), Vec::new());
    results.rewind()?;
    results.read_to_end(&mut bytes)?;
    log.rewind()?;
    log.read_to_end(&mut words)?;
    Ok(Ended { outcome, results: bytes, words: String::from_utf8_lossy(&words).into_owned() })
}

async fn reaches(server: &Server, client: &Client, layer: &Digest) -> Outcome {
    let script = format!(
        "cat {SOURCES}/a.py >&3; echo said; id >&3; env >&3; echo x > /tmp/x && cat /tmp/x >&3
         for place in {SOURCES}/a.py {SOURCES}/new /new /bin/new /etc/hosts /dev/new; do
           echo x 2>/dev/null > $place && echo wrote $place >&3
         done
         ls /proc/self/fd >&3; ifconfig >&3; ls / >&3"
    );
    // A shell ends with the code of the last thing that it could not do, so it says itself that it went well.
    let ended = ran(client, job(server, "reads", layer, &format!("({script}); exit 0"))?).await?;
    require(ended.outcome == CompileOutcome::Exited(0), format!("{:?}: {}", ended.outcome, ended.words))?;
    let results = String::from_utf8_lossy(&ended.results).into_owned();
    require(results.starts_with("print(1)\nuid=1000 gid=1000"), &results)?;
    require(ended.words.starts_with("said\n"), &ended.words)?;
    require(results.contains("\nx\n"), format!("the scratch can't be written to: {results}"))?;
    require(!results.contains("wrote"), &results)?;
    for absent in ["eth0", "ZIPSHIP"] {
        require(!results.contains(absent), format!("{absent}: {results}"))?;
    }
    // Nothing is left of it, and the same name is free again, beside an instance on the same root.
    server.start(client, server.script("beside", layer, "sleep 600"), "").await?;
    fs::remove_dir_all(server.data.join("builds/reads"))?;
    let again = ran(client, job(server, "reads", layer, "echo again >&3")?).await?;
    require(again.results == b"again\n", again.words)?;
    client.stop("beside", Duration::ZERO).await?;
    Ok(())
}

async fn limited(server: &Server, client: &Client, layer: &Digest) -> Outcome {
    let (mut spec, files) = job(server, "slow", layer, "sleep 600")?;
    spec.timeout = Duration::from_millis(300);
    let ended = ran(client, (spec, files)).await?;
    require(ended.outcome == CompileOutcome::TimedOut, format!("{:?}", ended.outcome))?;

    // More results than are allowed, and as many words: neither grows beyond.
    for (id, script) in
        [("much", "dd if=/dev/zero bs=1M count=1000 >&3"), ("chatty", "dd if=/dev/zero bs=1M count=1000")]
    {
        let ended = ran(client, job(server, id, layer, script)?).await?;
        require(ended.outcome != CompileOutcome::Exited(0), format!("{id}: it wrote everything"))?;
        let longest = ended.results.len().max(ended.words.len()) as u64;
        require(longest <= RESULT_BYTES, format!("{id}: {longest} bytes were written"))?;
    }
    // The scratch is memory of the job's own.
    let ended =
        ran(client, job(server, "hungry", layer, "dd if=/dev/zero of=/tmp/x bs=1M count=200")?).await?;
    require(ended.outcome != CompileOutcome::Exited(0), "more memory was had than was given")?;
    // Many processes.
    let bomb = "f() { f | f & }; f; sleep 600";
    let (mut spec, files) = job(server, "bomb", layer, bomb)?;
    spec.timeout = Duration::from_secs(2);
    let ended = ran(client, (spec, files)).await?;
    require(ended.outcome != CompileOutcome::Exited(0), format!("{:?}", ended.outcome))
}

async fn refused(server: &Server, client: &Client, layer: &Digest) -> Outcome {
    let error = |refused: Result<CompileOutcome, RunnerError>| refused.err().ok_or("it was taken");

    let (mut spec, _) = job(server, "layerless", layer, "true")?;
    spec.layers = vec![Digest::of(b"never unpacked")];
    let missing = error(client.precompile(spec).await)?;
    require(matches!(missing, RunnerError::LayerMissing(_)), missing)?;

    for results in ["/", "/etc/hostname"] {
        let (mut spec, _) = job(server, "thief", layer, "true")?;
        spec.results = File::open(results)?.into();
        let text = error(client.precompile(spec).await)?.to_string();
        require(text.contains("neither a pipe nor a file of the server"), text)?;
    }

    // A link in place of the sources.
    let (spec, _) = job(server, "linked", layer, "true")?;
    fs::remove_dir_all(&spec.source)?;
    symlink("/etc", &spec.source)?;
    error(client.precompile(spec).await)?;

    let (mut spec, _) = job(server, "idle", layer, "true")?;
    spec.argv.clear();
    error(client.precompile(spec).await)?;
    Ok(())
}
