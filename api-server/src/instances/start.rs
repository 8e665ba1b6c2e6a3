//! One start: image → socket, pipes and environment → sandbox → ready line.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    os::{fd::OwnedFd, unix::net::UnixListener},
};

use contract::instance::{Control, ReadyLine};
use gateway::{Address, Phase, Revision, StartFailure, StartFailureKind, StartedInstance};
use runner::{Exited, InstanceFds, InstanceSpec};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    pipe::{PipeFlags, pipe_with},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::unix::pipe,
    sync::oneshot,
    time::{Duration, Instant, timeout},
};

use super::{Inner, environment, foreign, image, logs, millicores, platform};
use crate::store::{deploys::Program, persist};

/// Processes and threads of an instance at once.
const PIDS: u32 = 256;
/// How long the news of an instance's end may come after the end of its ready pipe.
const EXIT_NEWS: Duration = Duration::from_secs(2);

/// Starts an instance and resolves when its ready line said so.
pub(super) async fn start(
    inner: &Inner,
    revision: &Revision,
    instance: &str,
) -> Result<StartedInstance, StartFailure> {
    let begin = Instant::now();
    // While the database is away callers wait, as for the instance: the gateway gives up a start that takes too long.
    let launch = persist(|| inner.store.launch(&revision.id)).await.map_err(platform)?;
    let found = image::find(inner, &launch.revision.image_reference, &launch.revision.image_digest).await?;
    let _held = inner.hold(found.diff_ids()).await;
    image::unpack(inner, &found).await?;
    let unpacked = Instant::now();
    let told = |failure: StartFailure| StartFailure {
        message: environment::without_values(failure.message, &launch.environment),
        ..failure
    };
    if let Program::Image { .. } = launch.revision.config.program {
        let begun = foreign::Begun { begin, unpacked };
        return foreign::start(inner, revision, instance, &launch, &found, begun).await.map_err(told);
    }

    let (ready, ready_writer) = pipe_with(PipeFlags::CLOEXEC).map_err(platform)?;
    let (log, log_writer) = pipe_with(PipeFlags::CLOEXEC).map_err(platform)?;
    let fds = InstanceFds {
        listen: listen(inner, instance).map_err(platform)?,
        ready: ready_writer,
        log: log_writer,
        control: control_file(&environment::control(&launch)).map_err(platform)?,
    };
    logs::follow(log, inner.logs.said(&revision.function_id, instance)).map_err(platform)?;
    let ready = pipe::Receiver::from_owned_fd(ready).map_err(platform)?;
    let exited = expect_exit(inner, instance, revision.memory_mb);
    inner.backend.start(spec(revision, instance, &found), fds).await.map_err(platform)?;
    let created = Instant::now();

    let line = read_ready(ready, exited, revision).await;
    // With or without success: from now on it has time to end by itself, and its last words are heard.
    inner.known().starting.remove(instance);
    let line = line.map_err(told)?;
    let phases = vec![
        Phase { name: "unpack", duration: unpacked - begin },
        Phase { name: "create", duration: created - unpacked },
        Phase { name: "import", duration: created.elapsed() },
    ];
    let address = Address::Unix(inner.socket(instance));
    Ok(StartedInstance { address, max_concurrency: line.max_concurrency, phases })
}

pub(super) fn spec(revision: &Revision, instance: &str, found: &image::Found) -> InstanceSpec {
    InstanceSpec {
        id: instance.to_owned(),
        layers: found.diff_ids(),
        entrypoint: [&found.config.entrypoint[..], &found.config.cmd[..]].concat(),
        environment: found.environment(),
        working_directory: found.working_directory(),
        memory_mb: revision.memory_mb,
        pids: PIDS,
        labels: [("function", &revision.function_id), ("revision", &revision.id)]
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .into(),
    }
}

/// A request may wait in this socket's backlog before the instance exists.
fn listen(inner: &Inner, instance: &str) -> std::io::Result<OwnedFd> {
    let path = inner.socket(instance);
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    Ok(UnixListener::bind(path)?.into())
}

/// The control document in memory: it may be larger than a pipe holds, and must never be on disk.
pub(super) fn control_file(control: &Control) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("control", MemfdFlags::CLOEXEC)?);
    serde_json::to_writer(&mut file, control)?;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file.into())
}

/// Registers for the news of the instance's end, and its CPU for later.
pub(super) fn expect_exit(inner: &Inner, instance: &str, memory_mb: u32) -> oneshot::Receiver<Exited> {
    let (sender, receiver) = oneshot::channel();
    let mut known = inner.known();
    known.starting.insert(instance.to_owned(), sender);
    known.cpu.insert(instance.to_owned(), millicores(memory_mb));
    receiver
}

/// The gateway gives up a start that takes too long, by dropping this.
async fn read_ready(
    ready: pipe::Receiver,
    exited: oneshot::Receiver<Exited>,
    revision: &Revision,
) -> Result<ReadyLine, StartFailure> {
    let mut text = String::new();
    let read = BufReader::new(ready).read_line(&mut text).await.map_err(platform)?;
    if read == 0 {
        let news = timeout(EXIT_NEWS, exited).await;
        return Err(ended(news.ok().and_then(Result::ok), revision));
    }
    let line: ReadyLine = serde_json::from_str(&text)
        .map_err(|error| platform(format!("the instance's ready line can't be read: {error}")))?;
    if line.ready {
        return Ok(line);
    }
    let message = line.error.unwrap_or_else(|| "the handler could not be loaded".to_owned());
    Err(StartFailure { message, kind: StartFailureKind::Function })
}

/// Why an instance ended before it was ready, for its owner.
fn ended(news: Option<Exited>, revision: &Revision) -> StartFailure {
    let (message, kind) = match news {
        Some(exited) => (format!("{} before it was ready", how(&exited, revision)), class(&exited)),
        None => ("it closed its ready descriptor without a word".to_owned(), StartFailureKind::Platform),
    };
    StartFailure { message, kind }
}

/// How an instance ended, in words.
pub(super) fn how(exited: &Exited, revision: &Revision) -> String {
    match exited {
        Exited { out_of_memory: true, .. } => {
            format!("it ran out of its {} MB of memory", revision.memory_mb)
        }
        Exited { code: Some(code), .. } => format!("it ended with code {code}"),
        Exited { signal, .. } => format!("it was ended by signal {}", signal.unwrap_or_default()),
    }
}

/// Whose fault its end is.
pub(super) fn class(exited: &Exited) -> StartFailureKind {
    if exited.out_of_memory { StartFailureKind::OutOfMemory } else { StartFailureKind::Function }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_control_file_is_read_from_its_start_and_may_be_large() {
        let control = Control { environment: [("A".to_owned(), "x".repeat(1 << 20))].into() };
        let mut text = String::new();
        File::from(control_file(&control).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(serde_json::from_str::<Control>(&text).unwrap(), control);
    }

    fn revision() -> Revision {
        Revision {
            id: "r".into(),
            program: gateway::Program::Function,
            function_id: "f".into(),
            version: 1,
            image_digest: String::new(),
            public: true,
            timeout: Duration::from_secs(1),
            memory_mb: 128,
            min_scale: 0,
            max_scale: 1,
            max_concurrency: None,
        }
    }

    #[tokio::test]
    async fn an_import_error_comes_out_in_its_own_words() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let line = ReadyLine { ready: false, max_concurrency: 0, error: Some("No module named 'x'".into()) };
        writeln!(File::from(writer), "{}", serde_json::to_string(&line).unwrap()).unwrap();
        let (_sender, exited) = oneshot::channel();
        let ready = pipe::Receiver::from_owned_fd(reader).unwrap();
        let failure = read_ready(ready, exited, &revision()).await.unwrap_err();
        assert_eq!(failure.message, "No module named 'x'");
        assert_eq!(failure.kind, StartFailureKind::Function);
    }

    #[tokio::test]
    async fn an_instance_that_dies_before_it_is_ready_says_why() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        drop(writer);
        let (sender, exited) = oneshot::channel();
        let news = Exited { instance: "i".into(), code: None, signal: Some(9), out_of_memory: true };
        sender.send(news).unwrap();
        let ready = pipe::Receiver::from_owned_fd(reader).unwrap();
        let failure = read_ready(ready, exited, &revision()).await.unwrap_err();
        assert_eq!(failure.kind, StartFailureKind::OutOfMemory);
        assert!(failure.message.contains("128 MB"), "{}", failure.message);
    }
}
