//! How a thread's bytes reach the assembly: in blocks of a fixed pool, which come back to be filled again.

use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use super::assemble::stopped;
use super::encode::{Sink, SliceEnd};
use crate::zip::Refusal;

/// Bytes of tar, or of gzip, with which a block is full.
const FULL: usize = 64 << 10;
/// Blocks of one thread: how far it may be ahead.
const BLOCKS: usize = 20;

/// Some bytes of the tar and of the gzip member.
#[derive(Default)]
pub(super) struct Block {
    tar: Vec<u8>,
    gzip: Vec<u8>,
    compressed: u64,
    slice: Option<SliceEnd>,
    /// Set on the last block of a chunk.
    pub(super) end: Option<Result<(), Refusal>>,
}

impl Block {
    /// Hands everything on, and leaves the block empty.
    pub(super) fn drain(&mut self, into: &mut dyn Sink) -> Result<(), Refusal> {
        into.tar(&self.tar)?;
        into.gzip(&self.gzip)?;
        into.compressed(self.compressed)?;
        if let Some(end) = self.slice.take() {
            into.slice(end)?;
        }
        self.tar.clear();
        self.gzip.clear();
        self.compressed = 0;
        Ok(())
    }
}

/// A thread's end of the pool.
pub(super) struct Port {
    block: Block,
    made: usize,
    full: Sender<Block>,
    empty: Receiver<Block>,
}

impl Port {
    pub(super) fn new(full: Sender<Block>, empty: Receiver<Block>) -> Self {
        Self { block: Block::default(), made: 1, full, empty }
    }

    /// Ends a chunk. An error says that nobody listens any more.
    pub(super) fn end(&mut self, result: Result<(), Refusal>) -> Result<(), Refusal> {
        self.block.end = Some(result);
        self.send()
    }

    fn send(&mut self) -> Result<(), Refusal> {
        let next = match self.empty.try_recv() {
            Ok(block) => block,
            Err(TryRecvError::Empty) if self.made < BLOCKS => {
                self.made += 1;
                Block::default()
            }
            Err(TryRecvError::Empty) => {
                // The block in hand goes first: the assembly may be waiting for it.
                let block = std::mem::take(&mut self.block);
                self.full.send(block).map_err(|_| stopped())?;
                self.block = self.empty.recv().map_err(|_| stopped())?;
                return Ok(());
            }
            Err(TryRecvError::Disconnected) => return Err(stopped()),
        };
        self.full.send(std::mem::replace(&mut self.block, next)).map_err(|_| stopped())
    }
}

impl Sink for Port {
    fn tar(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        for piece in bytes.chunks(FULL) {
            if self.block.tar.len() + piece.len() > FULL {
                self.send()?;
            }
            self.block.tar.extend_from_slice(piece);
        }
        Ok(())
    }

    fn gzip(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        for piece in bytes.chunks(FULL) {
            if self.block.gzip.len() + piece.len() > FULL {
                self.send()?;
            }
            self.block.gzip.extend_from_slice(piece);
        }
        Ok(())
    }

    fn compressed(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.block.compressed += bytes;
        Ok(())
    }

    fn slice(&mut self, end: SliceEnd) -> Result<(), Refusal> {
        self.block.slice = Some(end);
        self.send()
    }
}
