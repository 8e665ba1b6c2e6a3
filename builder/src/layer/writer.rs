//! The layer, from headers and streams: chunks of about a mebibyte of tar are encoded by any number of
//! threads and put together in order by one, which also hashes. Where chunks end depends on the tree alone,
//! so the bytes do not depend on the threads.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oci::digest::Hasher;
use oci::layer::MemoryLayer;

use super::gzip::{self, Deflater};
use super::tar::{self, Owner};
use crate::tree::Tree;
use crate::zip::{Data, Inflater, Kind, Method, Refusal};

/// Where a function's files lie, and the directories above, which every layer names anew.
const ROOT: &str = "home/app/function";
const ABOVE: [(&str, Owner); 3] =
    [("home", Owner::Root), ("home/app", Owner::Function), (ROOT, Owner::Function)];
/// Bytes of tar in a chunk, about.
const CHUNK: u64 = 1 << 20;
/// Messages that a thread may be ahead; each has at most 64 KiB of tar.
const AHEAD: usize = 64;
/// Stored data that does not shrink below this many percent is left as it is.
const WORTH_PERCENT: usize = 95;
/// How much of it is tried.
const SAMPLE: usize = 64 << 10;

/// Until when a layer must be done.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) limit: Duration,
}

/// A finished layer.
pub(super) struct Output {
    pub(super) layer: MemoryLayer,
    pub(super) tar_bytes: u64,
    pub(super) compressed_bytes: u64,
}

/// What an encoder makes: bytes of the tar, and bytes of the gzip member that decode to them.
enum Message {
    Tar(Vec<u8>),
    Gzip(Vec<u8>),
    Compressed(u64),
    End(Result<(), Refusal>),
}

type Node<'t, 'a> = (String, &'t Kind<'a>, Owner);

/// Writes a tree as a layer.
pub(super) fn write(tree: &Tree<'_>, threads: usize, deadline: Deadline) -> Result<Output, Refusal> {
    let above = ABOVE.map(|(path, owner)| (path.to_owned(), &Kind::Directory, owner));
    let below = tree.iter().map(|(path, kind)| (format!("{ROOT}/{path}"), kind, Owner::Function));
    let nodes: Vec<Node<'_, '_>> = above.into_iter().chain(below).collect();
    let chunks = chunks(&nodes);
    let mut assembly = Assembly::new();
    if threads <= 1 || chunks.len() <= 1 {
        let mut encoder = Encoder::new(deadline);
        for chunk in &chunks {
            encoder.chunk(&nodes, chunk, &mut |message| {
                assembly.take(message);
                Ok(())
            })?;
        }
    } else {
        on_threads(&nodes, &chunks, threads, deadline, &mut assembly)?;
    }
    Ok(assembly.finish())
}

/// Ranges of nodes, cut by the size of their tar.
fn chunks(nodes: &[Node<'_, '_>]) -> Vec<Range<usize>> {
    let (mut chunks, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (i, (_, kind, _)) in nodes.iter().enumerate() {
        bytes += tar::BLOCK + content(kind).map_or(0, |data| data.size);
        if bytes >= CHUNK || i + 1 == nodes.len() {
            chunks.push(start..i + 1);
            (start, bytes) = (i + 1, 0);
        }
    }
    chunks
}

/// A file's data, unless there is none.
fn content<'a>(kind: &Kind<'a>) -> Option<Data<'a>> {
    match kind {
        // An empty stream is decoded too: it must be an empty stream.
        Kind::File { data, .. } if data.size > 0 || !data.raw.is_empty() => Some(*data),
        _ => None,
    }
}

/// Thread t encodes the chunks t, t + n, ...; the assembly takes them in turn.
fn on_threads(
    nodes: &[Node<'_, '_>],
    chunks: &[Range<usize>],
    threads: usize,
    deadline: Deadline,
    assembly: &mut Assembly,
) -> Result<(), Refusal> {
    std::thread::scope(|scope| {
        let start = |t: usize| {
            let (sender, receiver) = sync_channel(AHEAD);
            scope.spawn(move || {
                encode_every(nodes, chunks.iter().skip(t).step_by(threads), deadline, &sender)
            });
            receiver
        };
        let receivers: Vec<Receiver<Message>> = (0..threads).map(start).collect();
        for i in 0..chunks.len() {
            // The channels are dropped on return, which stops the threads at their next message.
            while let Ok(message) = receivers[i % threads].recv() {
                match message {
                    Message::End(result) => {
                        result?;
                        break;
                    }
                    message => assembly.take(message),
                }
            }
        }
        Ok(())
    })
}

fn encode_every<'c>(
    nodes: &[Node<'_, '_>],
    chunks: impl Iterator<Item = &'c Range<usize>>,
    deadline: Deadline,
    sender: &SyncSender<Message>,
) {
    let mut encoder = Encoder::new(deadline);
    for chunk in chunks {
        // Nobody listens any more: another chunk was refused, and that refusal is the answer.
        let gone = |_| Refusal::DecodeTime { limit: deadline.limit };
        let result = encoder.chunk(nodes, chunk, &mut |message| sender.send(message).map_err(gone));
        if sender.send(Message::End(result)).is_err() {
            return;
        }
    }
}

type Emit<'e> = dyn FnMut(Message) -> Result<(), Refusal> + 'e;

/// Encodes chunks: decodes every entry (for the tar's digest, and to see that it is sound), and hands its
/// compressed stream on as it is where that can be.
struct Encoder {
    inflater: Inflater,
    deflater: Deflater,
    deadline: Deadline,
}

impl Encoder {
    fn new(deadline: Deadline) -> Self {
        Self { inflater: Inflater::new(), deflater: Deflater::new(), deadline }
    }

    fn chunk(
        &mut self,
        nodes: &[Node<'_, '_>],
        chunk: &Range<usize>,
        emit: &mut Emit<'_>,
    ) -> Result<(), Refusal> {
        let mut meta = Vec::new();
        for i in chunk.clone() {
            // A file's padding travels with the next header: one small stream less.
            let before = i.checked_sub(1).and_then(|before| content(nodes[before].1));
            meta.resize(meta.len() + before.map_or(0, |data| tar::padding(data.size)), 0);
            let (path, kind, owner) = &nodes[i];
            tar::header(path, kind, *owner, &mut meta);
            if let Some(data) = content(kind) {
                self.meta(std::mem::take(&mut meta), emit)?;
                self.file(path, data, emit)?;
            }
        }
        if chunk.end == nodes.len() {
            let last = nodes.last().and_then(|(_, kind, _)| content(kind));
            meta.resize(meta.len() + last.map_or(0, |data| tar::padding(data.size)), 0);
            meta.extend(tar::END);
        }
        if meta.is_empty() { Ok(()) } else { self.meta(meta, emit) }
    }

    fn meta(&mut self, meta: Vec<u8>, emit: &mut Emit<'_>) -> Result<(), Refusal> {
        let mut out = Vec::new();
        self.deflater.begin();
        self.deflater.push(&meta, &mut out);
        self.deflater.end(&mut out);
        emit(Message::Tar(meta))?;
        emit(Message::Gzip(out))
    }

    fn file(&mut self, path: &str, data: Data<'_>, emit: &mut Emit<'_>) -> Result<(), Refusal> {
        let entry = path.strip_prefix(ROOT).map_or(path, |rest| rest.trim_start_matches('/'));
        if self.must_compress(&data) {
            return self.compressed(entry, data, emit);
        }
        let deadline = self.deadline;
        let last = data.decode(entry, &mut self.inflater, &mut |piece| {
            deadline.check()?;
            emit(Message::Tar(piece.to_vec()))
        })?;
        let mut out = |piece: &[u8]| emit(Message::Gzip(piece.to_vec()));
        match last {
            // An empty file adds nothing to the tar, so nothing to the stream either.
            _ if data.size == 0 => Ok(()),
            Some(last) => gzip::join(data.raw, last, &mut out),
            None => gzip::stored(data.raw, &mut out),
        }
    }

    /// Stored data that shrinks, and streams that are larger than what they hold: padding with empty blocks
    /// is nothing that a sane tool does, and nothing to pass on.
    fn must_compress(&mut self, data: &Data<'_>) -> bool {
        match data.method {
            Method::Deflate => data.raw.len() as u64 > data.size + data.size / 100 + 128,
            Method::Stored => {
                let sample = &data.raw[..data.raw.len().min(SAMPLE)];
                let mut out = Vec::new();
                self.deflater.begin();
                self.deflater.push(sample, &mut out);
                self.deflater.end(&mut out);
                out.len() * 100 < sample.len() * WORTH_PERCENT
            }
        }
    }

    fn compressed(&mut self, entry: &str, data: Data<'_>, emit: &mut Emit<'_>) -> Result<(), Refusal> {
        let deadline = self.deadline;
        let deflater = &mut self.deflater;
        deflater.begin();
        data.decode(entry, &mut self.inflater, &mut |piece| {
            deadline.check()?;
            let mut out = Vec::new();
            deflater.push(piece, &mut out);
            emit(Message::Tar(piece.to_vec()))?;
            emit(Message::Gzip(out))
        })?;
        let mut out = Vec::new();
        deflater.end(&mut out);
        emit(Message::Gzip(out))?;
        emit(Message::Compressed(data.size))
    }
}

impl Deadline {
    fn check(&self) -> Result<(), Refusal> {
        if Instant::now() > self.at { Err(Refusal::DecodeTime { limit: self.limit }) } else { Ok(()) }
    }
}

/// The layer so far.
struct Assembly {
    gzip: Vec<u8>,
    diff: Hasher,
    crc: crc32fast::Hasher,
    tar_bytes: u64,
    compressed_bytes: u64,
}

impl Assembly {
    fn new() -> Self {
        Self {
            gzip: gzip::HEADER.to_vec(),
            diff: Hasher::new(),
            crc: crc32fast::Hasher::new(),
            tar_bytes: 0,
            compressed_bytes: 0,
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Tar(bytes) => {
                self.diff.update(&bytes);
                self.crc.update(&bytes);
                self.tar_bytes += bytes.len() as u64;
            }
            Message::Gzip(bytes) => self.gzip.extend_from_slice(&bytes),
            Message::Compressed(bytes) => self.compressed_bytes += bytes,
            Message::End(_) => {}
        }
    }

    fn finish(mut self) -> Output {
        self.gzip.extend(gzip::trailer(self.crc.finalize(), self.tar_bytes));
        let layer = MemoryLayer::gzip(Bytes::from(self.gzip), self.diff.finish());
        Output { layer, tar_bytes: self.tar_bytes, compressed_bytes: self.compressed_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(tree: &Tree<'_>, threads: usize) -> Result<oci::Digest, Refusal> {
        let limit = Duration::from_secs(60);
        write(tree, threads, Deadline { at: Instant::now() + limit, limit }).map(|out| out.layer.digest)
    }

    #[test]
    fn threads_change_nothing() {
        let files: Vec<Vec<u8>> = (0..60u32).map(|i| format!("{i} ").repeat(60_000).into_bytes()).collect();
        let mut tree = Tree::default();
        for (i, bytes) in files.iter().enumerate() {
            tree.insert(
                &format!("d{}/{i}", i % 3),
                Kind::File { executable: false, data: Data::plain(bytes) },
            );
        }
        let one = layer(&tree, 1).unwrap();
        for threads in [2, 3, 7] {
            assert_eq!(layer(&tree, threads).unwrap(), one, "{threads} threads");
        }
        // A refusal stops all threads, and the first in the tree's order is the answer.
        for path in ["d1/x", "d2/x"] {
            let data = Data { crc: 1, ..Data::plain(b"other") };
            tree.insert(path, Kind::File { executable: false, data });
        }
        for threads in [1, 2, 7] {
            let refusal = layer(&tree, threads).unwrap_err();
            assert!(matches!(&refusal, Refusal::Checksum { entry, .. } if entry == "d1/x"), "{refusal}");
        }
    }
}
