//! The server's end of the socketpair: requests go out with a number, replies find their way by it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oci::Digest;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::wire::{self, Answer, Call, CompileCall, FromLauncher, PrecompileCall, Request};
use crate::{
    Backend, BoxFuture, CompileOutcome, CompileSpec, Compression, Exited, Family, ForeignFds, InstanceFds,
    InstanceInfo, InstanceSpec, PrecompileSpec, RunnerError, UnpackedLayer,
};

type Outcome = Result<Answer, RunnerError>;
/// An answer, and the descriptors beside it.
type Delivered = (Outcome, Vec<OwnedFd>);

/// The launcher, as the server sees it.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    socket: AsyncFd<OwnedFd>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` once the launcher is gone: nothing may wait for it any more.
    waiting: Option<HashMap<u64, oneshot::Sender<Delivered>>>,
    subscribers: Vec<UnboundedSender<Exited>>,
}

impl Client {
    /// Takes the socket that the launcher gave this process, by its number in `ZIPSHIP_LAUNCHER_FD`.
    ///
    /// Must be called inside a tokio runtime, and once: the number means nothing afterwards.
    pub fn from_environment() -> io::Result<Self> {
        let text = std::env::var(wire::LAUNCHER_FD)
            .map_err(|_| io::Error::other("this process was not started by the launcher"))?;
        let number: RawFd = text.parse().map_err(|_| io::Error::other("ZIPSHIP_LAUNCHER_FD is no number"))?;
        Self::from_fd(super::sys::adopt_fd(number)?)
    }

    /// How often the server was restarted after dying; 0 for the first.
    pub fn restarts() -> u32 {
        std::env::var(wire::SERVER_RESTARTS).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Speaks to a launcher over this socket. Must be called inside a tokio runtime.
    pub fn from_fd(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let state = State { waiting: Some(HashMap::new()), subscribers: Vec::new() };
        let shared = Arc::new(Shared { socket: super::sys::watch(socket)?, state: Mutex::new(state) });
        let reader = tokio::spawn(Arc::clone(&shared).read());
        Ok(Self { shared, reader, next: AtomicU64::new(1) })
    }

    async fn call(&self, call: Call, fds: Vec<OwnedFd>) -> Outcome {
        self.exchange(call, fds).await.map(|(answer, _)| answer)
    }

    async fn exchange(&self, call: Call, fds: Vec<OwnedFd>) -> Result<(Answer, Vec<OwnedFd>), RunnerError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        match &mut self.shared.state().waiting {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(RunnerError::Disconnected),
        };
        if let Err(error) = self.shared.send(&Request { id, call }, &fds).await {
            if let Some(waiting) = &mut self.shared.state().waiting {
                waiting.remove(&id);
            }
            return Err(match error.kind() {
                io::ErrorKind::InvalidInput => RunnerError::Invalid(error.to_string()),
                _ => RunnerError::Disconnected,
            });
        }
        drop(fds);
        let (outcome, fds) = receiver.await.map_err(|_| RunnerError::Disconnected)?;
        Ok((outcome?, fds))
    }

    async fn compiled(&self, call: Call, fds: Vec<OwnedFd>) -> Result<CompileOutcome, RunnerError> {
        match self.call(call, fds).await? {
            Answer::Compiled(outcome) => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    /// The certificate's file and its key's, opened by root; `None` where none was configured.
    ///
    /// # Errors
    /// When one of them can't be opened: the text says which.
    pub async fn certificate(&self) -> Result<Option<(File, File)>, RunnerError> {
        let (_, fds) = self.exchange(Call::Certificate, Vec::new()).await?;
        let mut files = fds.into_iter().map(File::from);
        Ok(files.next().zip(files.next()))
    }

    async fn done(&self, call: Call, fds: Vec<OwnedFd>) -> Result<(), RunnerError> {
        match self.call(call, fds).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Packets are whole or not at all, so senders need no lock between them.
    async fn send(&self, request: &Request, fds: &[OwnedFd]) -> io::Result<()> {
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        self.socket
            .async_io(Interest::WRITABLE, |socket| wire::send(socket.as_fd(), request, &borrowed))
            .await
    }

    async fn read(self: Arc<Self>) {
        let receive = |socket: &OwnedFd| wire::receive::<FromLauncher>(socket.as_fd());
        loop {
            match self.socket.async_io(Interest::READABLE, receive).await {
                Ok(Some((message, fds))) => self.deliver(message, fds),
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "reading from the launcher failed");
                    break;
                }
            }
        }
        let mut state = self.state();
        state.waiting = None;
        state.subscribers.clear();
    }

    fn deliver(&self, message: FromLauncher, fds: Vec<OwnedFd>) {
        let mut state = self.state();
        match message {
            FromLauncher::Reply { id, outcome } => {
                let waiter = state.waiting.as_mut().and_then(|waiting| waiting.remove(&id));
                // A caller that was dropped does not wait any more; its answer goes nowhere.
                if let Some(waiter) = waiter {
                    let _ = waiter.send((outcome, fds));
                }
            }
            FromLauncher::Exited(exited) => {
                state.subscribers.retain(|subscriber| subscriber.send(exited.clone()).is_ok());
            }
        }
    }
}

impl Backend for Client {
    fn unpack(
        &self,
        diff_id: &Digest,
        blob: File,
        compression: Compression,
    ) -> BoxFuture<'_, Result<(), RunnerError>> {
        let call = Call::Unpack { diff_id: diff_id.clone(), compression };
        Box::pin(self.done(call, vec![blob.into()]))
    }

    fn layers(&self) -> BoxFuture<'_, Result<Vec<UnpackedLayer>, RunnerError>> {
        Box::pin(async {
            let mut all: Vec<UnpackedLayer> = Vec::new();
            loop {
                let after = all.last().map(|layer| layer.diff_id.clone());
                match self.call(Call::Layers { after }, Vec::new()).await? {
                    Answer::Layers(page) if page.is_empty() => return Ok(all),
                    Answer::Layers(page) => all.extend(page),
                    other => return Err(unexpected(&other)),
                }
            }
        })
    }

    fn remove_layer(&self, diff_id: &Digest) -> BoxFuture<'_, Result<bool, RunnerError>> {
        let call = Call::RemoveLayer { diff_id: diff_id.clone() };
        Box::pin(async {
            match self.call(call, Vec::new()).await? {
                Answer::Removed(removed) => Ok(removed),
                other => Err(unexpected(&other)),
            }
        })
    }

    fn start(&self, spec: InstanceSpec, fds: InstanceFds) -> BoxFuture<'_, Result<(), RunnerError>> {
        let fds = vec![fds.listen, fds.ready, fds.log, fds.control];
        Box::pin(self.done(Call::Start(spec), fds))
    }

    fn start_foreign(&self, spec: InstanceSpec, fds: ForeignFds) -> BoxFuture<'_, Result<(), RunnerError>> {
        let fds = vec![fds.stdout, fds.stderr, fds.environment];
        Box::pin(self.done(Call::StartForeign(spec), fds))
    }

    fn socket(&self, id: &str, family: Family) -> BoxFuture<'_, Result<OwnedFd, RunnerError>> {
        let call = Call::Socket { instance: id.to_owned(), family };
        Box::pin(async move {
            let (answer, fds) = self.exchange(call, Vec::new()).await?;
            fds.into_iter().next().ok_or_else(|| unexpected(&answer))
        })
    }

    fn limit_cpu(&self, id: &str, millicores: u32) -> BoxFuture<'_, Result<(), RunnerError>> {
        Box::pin(self.done(Call::LimitCpu { instance: id.to_owned(), millicores }, Vec::new()))
    }

    fn stop(&self, id: &str, grace: Duration) -> BoxFuture<'_, Result<(), RunnerError>> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        Box::pin(self.done(Call::Stop { instance: id.to_owned(), grace_ms }, Vec::new()))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<InstanceInfo>, RunnerError>> {
        Box::pin(async {
            let mut all: Vec<InstanceInfo> = Vec::new();
            loop {
                let after = all.last().map_or_else(String::new, |info| info.id.clone());
                match self.call(Call::List { after }, Vec::new()).await? {
                    Answer::Instances(page) if page.is_empty() => return Ok(all),
                    Answer::Instances(page) => all.extend(page),
                    other => return Err(unexpected(&other)),
                }
            }
        })
    }

    fn compile(&self, spec: CompileSpec) -> BoxFuture<'_, Result<CompileOutcome, RunnerError>> {
        Box::pin(async move {
            let job = PathBuf::from("builds").join(&spec.id);
            if !spec.source.ends_with(job.join("src")) || !spec.out.ends_with(job.join("out")) {
                let text = format!("source and out of {} must be builds/{}/src and out", spec.id, spec.id);
                return Err(RunnerError::Invalid(text));
            }
            let call = CompileCall {
                id: spec.id,
                argv: spec.argv,
                environment: spec.environment,
                workdir: spec.workdir,
                memory_mb: spec.memory_mb,
                timeout_ms: u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX),
            };
            let fds = [Some(spec.log), spec.inlet].into_iter().flatten().collect();
            self.compiled(Call::Compile(call), fds).await
        })
    }

    fn precompile(&self, spec: PrecompileSpec) -> BoxFuture<'_, Result<CompileOutcome, RunnerError>> {
        Box::pin(async move {
            if !spec.source.ends_with(PathBuf::from("builds").join(&spec.id).join("src")) {
                let text = format!("the source of {} must be builds/{}/src", spec.id, spec.id);
                return Err(RunnerError::Invalid(text));
            }
            let call = PrecompileCall {
                id: spec.id,
                layers: spec.layers,
                argv: spec.argv,
                environment: spec.environment,
                memory_mb: spec.memory_mb,
                timeout_ms: u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX),
            };
            self.compiled(Call::Precompile(call), vec![spec.log, spec.results]).await
        })
    }

    fn exits(&self) -> UnboundedReceiver<Exited> {
        let (sender, receiver) = unbounded_channel();
        let mut state = self.shared.state();
        if state.waiting.is_some() {
            state.subscribers.push(sender);
        }
        receiver
    }
}

fn unexpected(answer: &Answer) -> RunnerError {
    RunnerError::Sandbox(format!("the launcher answered something else: {answer:?}"))
}
