//! Starting a container: an image that knows nothing of ours. It has its environment from the start, its output is
//! read as it comes, and it is ready when its port takes a connection.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use contract::{environment::DEFAULT_PORT, instance::LogStream, limits::DEFAULT_CONTAINER_CONCURRENCY};
use gateway::{Address, BoxFuture, Dial, Phase, Revision, StartFailure, StartFailureKind, StartedInstance};
use runner::{Backend, Exited, Family, ForeignFds, RunnerError};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Duration, Instant},
};

use super::{
    Inner, environment,
    image::Found,
    logs::{Follower, LastWords, follow_raw},
    platform,
    start::{class, control_file, expect_exit, how, spec},
};
use crate::store::Launch;

/// How long it may take until the port takes a connection (`docs/api.md`).
const LISTEN_LIMIT: Duration = Duration::from_secs(120);
/// First and longest pause between two attempts at the port.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// How long the last lines of an instance may take to arrive after its end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Where an image without a `PATH` looks for programs, as container engines have it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What an image that runs elsewhere may not expect.
const HINT: &str = "(here it runs as user 1000, with a read-only file system and a writable /tmp)";

/// When the start began, and when the image was there.
pub(super) struct Begun {
    pub(super) begin: Instant,
    pub(super) unpacked: Instant,
}

/// Starts an instance of a container's image and resolves when its port takes a connection.
pub(super) async fn start(
    inner: &Inner,
    revision: &Revision,
    instance: &str,
    launch: &Launch,
    found: &Found,
    begun: Begun,
) -> Result<StartedInstance, StartFailure> {
    let words = LastWords::default();
    let mut followers = Vec::new();
    let mut output = |stream| -> Result<_, StartFailure> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(platform)?;
        let said = inner.logs.said(&revision.function_id, instance);
        let of = Follower { stream, said, words: words.clone() };
        followers.push(follow_raw(reader, of).map_err(platform)?);
        Ok(writer)
    };
    let fds = ForeignFds {
        stdout: output(LogStream::Stdout)?,
        stderr: output(LogStream::Stderr)?,
        environment: control_file(&environment::control(launch)).map_err(platform)?,
    };
    let exited = expect_exit(inner, instance, revision.memory_mb);
    let mut spec = spec(revision, instance, found);
    spec.environment.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
    inner.backend.start_foreign(spec, fds).await.map_err(not_started)?;
    let created = Instant::now();

    let port = Arc::new(Port::new(Arc::clone(&inner.backend), instance));
    // Cancel-safe: the first only connects, the others only wait.
    let listens = tokio::select! {
        () = listening(&port) => Ok(()),
        news = exited => Err(news.ok()),
        () = tokio::time::sleep(LISTEN_LIMIT) => Err(None),
    };
    // From now on it has time to end by itself.
    inner.known().starting.remove(instance);
    if let Err(news) = listens {
        if news.is_some() {
            let _ = tokio::time::timeout(LAST_WORDS, futures_util::future::join_all(followers)).await;
        }
        let words = environment::without_values(words.text(), &launch.environment);
        return Err(failure(news.as_ref(), &words, revision));
    }
    // Not at the first answer: nobody may ever ask, and it is no function that only works when it is asked.
    inner.limit_cpu(instance);
    let phases = vec![
        Phase { name: "unpack", duration: begun.unpacked - begun.begin },
        Phase { name: "create", duration: created - begun.unpacked },
        Phase { name: "listen", duration: created.elapsed() },
    ];
    Ok(StartedInstance {
        address: Address::Dial(port),
        max_concurrency: DEFAULT_CONTAINER_CONCURRENCY,
        phases,
    })
}

/// A program that is not in the image, or can't be run, is its owner's to mend.
fn not_started(error: RunnerError) -> StartFailure {
    match error {
        RunnerError::Sandbox(words) => StartFailure {
            message: format!("the container could not be started: {words} {HINT}"),
            kind: StartFailureKind::Function,
        },
        other => platform(other),
    }
}

async fn listening(port: &Port) {
    let mut pause = PAUSES.0;
    while port.dial().await.is_err() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn failure(exited: Option<&Exited>, words: &str, revision: &Revision) -> StartFailure {
    let (what, kind) = match exited {
        Some(exited) => {
            (format!("{} before it listened on port {DEFAULT_PORT}", how(exited, revision)), class(exited))
        }
        None => {
            let seconds = LISTEN_LIMIT.as_secs();
            let text = format!("nothing listened on port {DEFAULT_PORT} ($PORT) within {seconds} s");
            (text, StartFailureKind::TimedOut)
        }
    };
    let said = if words.is_empty() { String::new() } else { format!("; its last words: {words}") };
    StartFailure { message: format!("{what} {HINT}{said}"), kind }
}

/// The port of one instance, on the loopback of its network.
struct Port {
    backend: Arc<dyn Backend>,
    instance: String,
    /// Whether it was last found on `::1`.
    is_v6: Arc<AtomicBool>,
}

impl Port {
    fn new(backend: Arc<dyn Backend>, instance: &str) -> Self {
        Self { backend, instance: instance.to_owned(), is_v6: Arc::default() }
    }
}

impl Dial for Port {
    fn dial(&self) -> BoxFuture<'static, io::Result<TcpStream>> {
        let (backend, instance) = (Arc::clone(&self.backend), self.instance.clone());
        let remembered = Arc::clone(&self.is_v6);
        Box::pin(async move {
            let first = remembered.load(Ordering::Relaxed);
            match connect(&*backend, &instance, first).await {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {}
                connected => return connected,
            }
            let stream = connect(&*backend, &instance, !first).await?;
            remembered.store(!first, Ordering::Relaxed);
            Ok(stream)
        })
    }
}

async fn connect(backend: &dyn Backend, instance: &str, is_v6: bool) -> io::Result<TcpStream> {
    let (family, address) = match is_v6 {
        false => (Family::V4, IpAddr::from(Ipv4Addr::LOCALHOST)),
        true => (Family::V6, IpAddr::from(Ipv6Addr::LOCALHOST)),
    };
    let socket = backend.socket(instance, family).await.map_err(|error| match error {
        RunnerError::NotFound(_) => io::Error::new(io::ErrorKind::NotFound, error),
        other => io::Error::other(other),
    })?;
    let socket = TcpSocket::from_std_stream(socket.into());
    socket.set_nodelay(true)?;
    match socket.connect(SocketAddr::new(address, DEFAULT_PORT)).await {
        // No IPv6 at all: nobody listens there.
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, error))
        }
        connected => connected,
    }
}
