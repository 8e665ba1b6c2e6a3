//! Request bodies that can be sent again, whole or from somewhere on, and answers read within bounds.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use reqwest::{Method, Response};
use tokio::sync::mpsc;

use super::error::ClientError;
use super::progress::Told;
use crate::layer::Layer;

/// How much of a layer is read at once, in bytes.
const CHUNK: usize = 128 * 1024;
/// How long the client waits for the next piece of an answer.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What a request carries. Every attempt opens it anew.
#[derive(Clone)]
pub(super) enum Body {
    Empty,
    Bytes(Bytes),
    Layer(Arc<dyn Layer>),
    Part(Box<Part>),
}

/// A part of a blob.
#[derive(Clone)]
pub(super) struct Part {
    /// The whole.
    pub(super) of: Body,
    /// Bytes before the part.
    pub(super) from: u64,
    /// Bytes of the part.
    pub(super) length: u64,
    /// Who hears of each piece.
    pub(super) told: Option<Told>,
}

/// A body opened for one attempt.
pub(super) struct OpenBody {
    pub(super) body: reqwest::Body,
    pub(super) length: u64,
    /// Why the layer could not be read to its end, once that happened.
    pub(super) failure: Arc<OnceLock<String>>,
    /// When the connection last took a piece.
    pub(super) moved: Arc<Moved>,
}

/// When something last moved.
pub(super) struct Moved(Mutex<Instant>);

impl Moved {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Layer(layer) => layer.size(),
            Self::Part(part) => part.length,
        }
    }

    /// Which layer's bytes these are.
    pub(super) fn layer(&self) -> Option<&dyn Layer> {
        match self {
            Self::Empty | Self::Bytes(_) => None,
            Self::Layer(layer) => Some(layer.as_ref()),
            Self::Part(part) => part.of.layer(),
        }
    }

    pub(super) fn open(&self) -> OpenBody {
        let failure = Arc::new(OnceLock::new());
        let moved = Arc::new(Moved(Mutex::new(Instant::now())));
        let (whole, from, told) = match self {
            Self::Part(part) => (&part.of, part.from, part.told.clone()),
            whole => (whole, 0, None),
        };
        let in_memory = whole.layer().and_then(Layer::in_memory).map(Self::Bytes);
        let body = match in_memory.as_ref().unwrap_or(whole) {
            Self::Bytes(bytes) => {
                let bytes = part(bytes, from, self.length());
                match told {
                    None if bytes.len() <= CHUNK => reqwest::Body::from(bytes),
                    told => watched(pieces(bytes), from, &moved, told),
                }
            }
            Self::Layer(layer) => {
                let stream = stream_layer(layer.clone(), from, self.length(), failure.clone());
                watched(stream, from, &moved, told)
            }
            Self::Empty | Self::Part(_) => reqwest::Body::from(Bytes::new()),
        };
        OpenBody { body, length: self.length(), failure, moved }
    }
}

/// The stream as a body; each piece that the connection takes is noted and told.
fn watched(
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    from: u64,
    moved: &Arc<Moved>,
    told: Option<Told>,
) -> reqwest::Body {
    let (moved, mut at) = (moved.clone(), from);
    reqwest::Body::wrap_stream(pieces.inspect(move |piece| {
        moved.now();
        if let (Ok(piece), Some(told)) = (piece, &told) {
            at += piece.len() as u64;
            told.at(at);
        }
    }))
}

fn part(bytes: &Bytes, from: u64, length: u64) -> Bytes {
    let from = usize::try_from(from).map_or(bytes.len(), |from| from.min(bytes.len()));
    let mut part = bytes.slice(from..);
    part.truncate(usize::try_from(length).unwrap_or(part.len()));
    part
}

fn pieces(mut left: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    stream::iter(std::iter::from_fn(move || {
        (!left.is_empty()).then(|| Ok(left.split_to(CHUNK.min(left.len()))))
    }))
}

/// Reads a layer on a blocking thread, a few chunks ahead of the network.
fn stream_layer(
    layer: Arc<dyn Layer>,
    from: u64,
    length: u64,
    failure: Arc<OnceLock<String>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read_layer(layer.as_ref(), from, length, &sender) {
            // Told before the stream ends, so that whoever sees the request fail finds the cause here.
            let _ = failure.set(error.to_string());
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(
        receiver,
        |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) },
    )
}

fn read_layer(
    layer: &dyn Layer,
    from: u64,
    length: u64,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut reader = layer.open()?;
    let (mut left, behind) = (length, layer.size().saturating_sub(from + length));
    let short = |left: u64| io::Error::other(format!("it ends {left} bytes before its size"));
    let skipped = io::copy(&mut reader.by_ref().take(from), &mut io::sink())?;
    if skipped < from {
        return Err(short(layer.size() - skipped));
    }
    while left > 0 {
        let mut chunk = BytesMut::zeroed(CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)));
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return Err(short(left + behind));
        }
        chunk.truncate(read);
        left -= read as u64;
        // Found out before the last bytes are sent: the request cannot succeed then.
        if left == 0 && behind == 0 && reader.read(&mut [0])? > 0 {
            return Err(io::Error::other("it goes on after its size"));
        }
        if sender.blocking_send(Ok(chunk.freeze())).is_err() {
            return Ok(()); // The request is over; nobody wants the rest.
        }
    }
    Ok(())
}

/// The next piece of an answer; `None` at its end.
pub(super) async fn next_chunk(
    response: &mut Response,
    method: &Method,
) -> Result<Option<Bytes>, ClientError> {
    match tokio::time::timeout(READ_TIMEOUT, response.chunk()).await {
        Ok(chunk) => chunk.map_err(|error| ClientError::transport(method, response.url(), error)),
        Err(_) => Err(ClientError::timed_out(method, response.url())),
    }
}

/// The whole answer, refused when it is longer than `limit` bytes.
pub(super) async fn read_limited(
    mut response: Response,
    method: &Method,
    limit: u64,
) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = next_chunk(&mut response, method).await? {
        if bytes.len() as u64 + chunk.len() as u64 > limit {
            return Err(ClientError::protocol(
                response.url(),
                format!("the answer is longer than {limit} bytes"),
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
