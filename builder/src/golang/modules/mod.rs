//! Go modules come through a forwarder: a server on one listening socket, for one `go mod download`, that passes
//! on reading questions about modules to the machine's module proxy, vets what comes, keeps it, and does nothing
//! else. What it kept is a module proxy in a folder, for a compiler without any network.
//!
//! `request` says what may be asked, `upstream` and `address` whom, `vet` what is passed on.

mod address;
mod limits;
mod request;
mod upstream;
mod vet;

use std::convert::Infallible;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

pub use limits::ModuleLimits;
pub use upstream::{ModuleProxy, NoProxyAddress};

use crate::zip::ArchiveLimits;
use request::{Kind, ModuleRequest};
use upstream::GetError;

/// Requests that are passed on at once; each holds one file in memory.
const AT_ONCE: usize = 4;
/// Connections at once.
const CONNECTIONS: usize = 64;
/// For a request's head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// After a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A forwarder at work; [`finish`](Self::finish) ends it.
#[derive(Debug)]
pub struct Forwarder {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<Forwarded>>,
}

/// What a forwarder did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Requests, those that were refused included.
    pub requests: usize,
    /// Bytes that came from proxies or from what was kept before.
    pub bytes: u64,
    /// Files that were kept now. Until the go tool is content, nobody vouches for them.
    pub fresh: Vec<PathBuf>,
}

impl Forwarder {
    /// Serves the socket that `listener` answers (which may wait for it), on a thread of its own. Files go to
    /// `keep`, as a module proxy has them; those that are there already are not asked for again.
    ///
    /// # Errors
    /// No thread, or no HTTP client.
    pub fn start(
        proxy: &ModuleProxy,
        limits: ModuleLimits,
        keep: &Path,
        listener: impl FnOnce() -> io::Result<TcpListener> + Send + 'static,
    ) -> io::Result<Self> {
        let state = State {
            client: proxy.client().map_err(io::Error::other)?,
            proxy: proxy.clone(),
            limits,
            keep: keep.to_owned(),
            deadline: Instant::now() + limits.time,
            at_once: Semaphore::new(AT_ONCE),
            requests: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            unpacked: AtomicU64::new(0),
            fresh: Mutex::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("go-modules".to_owned()).spawn(move || {
            let listener = listener()?;
            listener.set_nonblocking(true)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let state = Arc::new(state);
            runtime.block_on(serve(listener, Arc::clone(&state), stopped))?;
            Ok(Forwarded {
                requests: state.requests.load(Ordering::Relaxed),
                bytes: state.bytes.load(Ordering::Relaxed),
                fresh: std::mem::take(&mut state.fresh()),
            })
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it at once, and waits until it has ended.
    ///
    /// # Errors
    /// It could not serve at all.
    pub fn finish(self) -> io::Result<Forwarded> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the forwarder of modules panicked")))
    }
}

struct State {
    client: reqwest::Client,
    proxy: ModuleProxy,
    limits: ModuleLimits,
    keep: PathBuf,
    deadline: Instant,
    at_once: Semaphore,
    requests: AtomicUsize,
    bytes: AtomicU64,
    unpacked: AtomicU64,
    fresh: Mutex<Vec<PathBuf>>,
}

/// An answer other than 200; the go tool shows the words.
type Refused = (StatusCode, String);

async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            // Never closed.
            let place = Arc::clone(&connections).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, listener.accept().await?.0))
        };
        // Cancel-safe: a connection that was not accepted waits in the backlog, and the end is the end.
        let (place, stream) = tokio::select! {
            _ = &mut stopped => return Ok(()),
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // It passes: a caller that went away, or no descriptor for the moment.
                    tracing::warn!(%error, "a request for modules could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // Whoever asked has gone: nobody is left to be told.
            let _ = connection.await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match state.answer(&request).await {
        Ok(bytes) => (StatusCode::OK, bytes),
        Err((status, words)) => {
            tracing::debug!(path = request.uri().path(), %status, words, "a module request was refused");
            (status, Bytes::from(words))
        }
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if status != StatusCode::OK {
        let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, plain);
    }
    Ok(response)
}

impl State {
    async fn answer(&self, request: &Request<Incoming>) -> Result<Bytes, Refused> {
        let module = match request.uri().query() {
            None if request.method() == Method::GET => request::parse(request.uri().path()),
            _ => None,
        };
        let module = module.ok_or_else(|| {
            (StatusCode::FORBIDDEN, "only versions of modules can be read here, nothing else".to_owned())
        })?;
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.limits.requests {
            return Err(too_much(format!("more than {} files of modules", self.limits.requests)));
        }
        match tokio::time::timeout_at(self.deadline, self.fetch(&module)).await {
            Ok(answer) => answer,
            Err(_) => Err((
                StatusCode::GATEWAY_TIMEOUT,
                format!("fetching modules took longer than {} s", self.limits.time.as_secs()),
            )),
        }
    }

    async fn fetch(&self, module: &ModuleRequest) -> Result<Bytes, Refused> {
        // Never closed.
        let _place = self.at_once.acquire().await.map_err(|error| bad_gateway(error.to_string()))?;
        let kept = self.keep.join(&module.path);
        let keeps = module.kind != Kind::Question;
        let known = if keeps { fs::read(&kept).ok().map(Bytes::from) } else { None };
        let fresh = known.is_none();
        let bytes = match known {
            Some(bytes) => bytes,
            None => self.ask(&module.path).await?,
        };
        self.count(bytes.len() as u64, &self.bytes, self.limits.total_bytes)?;
        let unpacked = vet::vet(&module.kind, &bytes, &self.archive_limits())
            .map_err(|reason| (StatusCode::FORBIDDEN, format!("the module is refused: {reason}")))?;
        self.count(unpacked, &self.unpacked, self.limits.unpacked_bytes)?;
        if keeps && fresh {
            keep(&kept, &bytes).map_err(|error| bad_gateway(format!("it could not be kept: {error}")))?;
            self.fresh().push(kept);
        }
        Ok(bytes)
    }

    fn fresh(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        // A list that is whole at any time.
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, path: &str) -> Result<Bytes, Refused> {
        let left = self.limits.total_bytes.saturating_sub(self.bytes.load(Ordering::Relaxed));
        let limit = self.limits.file_bytes.min(left);
        self.proxy.get(&self.client, path, limit).await.map_err(|error| match error {
            GetError::NotThere(words) => (StatusCode::NOT_FOUND, words),
            GetError::Failed(reason) => bad_gateway(reason),
            GetError::TooLarge if left < self.limits.file_bytes => {
                too_much(format!("more than {} bytes of modules", self.limits.total_bytes))
            }
            GetError::TooLarge => {
                too_much(format!("more than {} bytes in a file of a module", self.limits.file_bytes))
            }
        })
    }

    fn count(&self, more: u64, counter: &AtomicU64, limit: u64) -> Result<(), Refused> {
        let before = counter.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > limit {
            return Err(too_much(format!("more than {limit} bytes of modules")));
        }
        Ok(())
    }

    fn archive_limits(&self) -> ArchiveLimits {
        ArchiveLimits {
            archive_bytes: self.limits.file_bytes,
            unpacked_bytes: self.limits.unpacked_bytes,
            file_bytes: self.limits.unpacked_bytes,
            ..ArchiveLimits::default()
        }
    }
}

fn too_much(words: String) -> Refused {
    (StatusCode::FORBIDDEN, format!("{words}: too much; put what is needed into vendor/ (go mod vendor)"))
}

fn bad_gateway(words: String) -> Refused {
    (StatusCode::BAD_GATEWAY, words)
}

/// Whole or not at all, since a kept file is served again.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!(".{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, path)
}
