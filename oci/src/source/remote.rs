//! A layer that is in a registry until somebody reads it.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::future::BoxFuture;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::SendError};

use crate::client::{Client, ClientError, Options};
use crate::digest::Digest;
use crate::layer::Layer;
use crate::manifest::Descriptor;
use crate::reference::Reference;

/// How many pieces of a download wait for their reader.
const AHEAD: usize = 8;

/// A layer of an image in a registry. Opening it begins to pull it; the last read fails when the bytes are not those
/// of its digest.
#[derive(Clone)]
pub struct RemoteLayer {
    options: Options,
    reference: Reference,
    descriptor: Descriptor,
    diff_id: Digest,
}

impl RemoteLayer {
    /// The layer that a manifest in the reference's repository describes.
    #[must_use]
    pub fn new(options: Options, reference: Reference, descriptor: Descriptor, diff_id: Digest) -> Self {
        Self { options, reference, descriptor, diff_id }
    }
}

impl fmt::Debug for RemoteLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RemoteLayer({}/{} {})",
            self.reference.registry, self.reference.repository, self.descriptor.digest
        )
    }
}

impl Layer for RemoteLayer {
    fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    fn size(&self) -> u64 {
        self.descriptor.size
    }

    fn media_type(&self) -> &str {
        &self.descriptor.media_type
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let (sender, receiver) = channel(AHEAD);
        let layer = self.clone();
        // A thread with a loop of its own: whoever reads may block, and may have no loop at all.
        std::thread::Builder::new().name("pull".to_owned()).spawn(move || {
            if let Err(error) = layer.pull(&sender) {
                // Nobody listens when the reader has gone.
                let _ = sender.blocking_send(Err(error.to_string()));
            }
        })?;
        Ok(Box::new(Pulled { receiver, piece: Bytes::new() }))
    }
}

impl RemoteLayer {
    fn pull(&self, sender: &Sender<Piece>) -> Result<(), ClientError> {
        let setup = |error: io::Error| ClientError::Setup(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(setup)?;
        let mut sink = Sink { sender: sender.clone(), sending: None };
        runtime.block_on(async {
            let client = Client::new(self.options.clone())?;
            client
                .blob_within(&self.reference, &self.descriptor.digest, self.descriptor.size, &mut sink)
                .await
        })?;
        Ok(())
    }
}

type Piece = Result<Bytes, String>;

/// The reader's end.
struct Pulled {
    receiver: Receiver<Piece>,
    piece: Bytes,
}

impl Read for Pulled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(reason)) => return Err(io::Error::other(reason)),
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The download's end.
struct Sink {
    sender: Sender<Piece>,
    sending: Option<BoxFuture<'static, Result<(), SendError<Piece>>>>,
}

impl AsyncWrite for Sink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(context))?;
        let (sender, piece) = (self.sender.clone(), Bytes::copy_from_slice(bytes));
        self.sending = Some(Box::pin(async move { sender.send(Ok(piece)).await }));
        // It goes out with the next call; the bytes are taken.
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(context));
            self.sending = None;
            sent.map_err(|_| io::Error::other("nobody reads it any more"))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
