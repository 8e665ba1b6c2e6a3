//! Request bodies that can be sent again, and answers read within bounds.

use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use reqwest::{Method, Response};
use tokio::sync::mpsc;

use super::error::ClientError;
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
}

/// A body opened for one attempt.
pub(super) struct OpenBody {
    pub(super) body: reqwest::Body,
    pub(super) length: u64,
    /// Why the layer could not be read to its end, once that happened.
    pub(super) failure: Arc<OnceLock<String>>,
}

impl Body {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Layer(layer) => layer.size(),
        }
    }

    pub(super) fn open(&self) -> OpenBody {
        let failure = Arc::new(OnceLock::new());
        let body = match self {
            Self::Empty => reqwest::Body::from(Bytes::new()),
            Self::Bytes(bytes) => reqwest::Body::from(bytes.clone()),
            Self::Layer(layer) => stream_layer(layer.clone(), failure.clone()),
        };
        OpenBody { body, length: self.length(), failure }
    }
}

/// Reads a layer on a blocking thread, a few chunks ahead of the network.
fn stream_layer(layer: Arc<dyn Layer>, failure: Arc<OnceLock<String>>) -> reqwest::Body {
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read_layer(layer.as_ref(), &sender) {
            // Told before the stream ends, so that whoever sees the request fail finds the cause here.
            let _ = failure.set(error.to_string());
            let _ = sender.blocking_send(Err(error));
        }
    });
    reqwest::Body::wrap_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }))
}

fn read_layer(layer: &dyn Layer, sender: &mpsc::Sender<std::io::Result<Bytes>>) -> std::io::Result<()> {
    let (mut reader, mut left) = (layer.open()?, layer.size());
    while left > 0 {
        let mut chunk = BytesMut::zeroed(CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)));
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return Err(std::io::Error::other(format!("it ends {left} bytes before its size")));
        }
        chunk.truncate(read);
        left -= read as u64;
        // Found out before the last bytes are sent: the request cannot succeed then.
        if left == 0 && reader.read(&mut [0])? > 0 {
            return Err(std::io::Error::other("it goes on after its size"));
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
