//! Steps of the plan become bytes of the tar, and bytes of the gzip member that decode to them.

use std::time::{Duration, Instant};

use super::gzip::{self, Deflater};
use super::options::Compression;
use super::plan::{Plan, Step};
use super::{fixed, tar};
use crate::zip::{Data, Inflater, Method, Refusal};

/// Level of what has to be compressed although the archive's streams are reused.
const LEVEL: u8 = 6;
/// Stored data that does not shrink below this many percent is left as it is.
const WORTH_PERCENT: usize = 95;
/// How much of it is tried.
const SAMPLE: usize = 64 << 10;
/// Bytes that are handed on at once.
const PIECE: usize = 64 << 10;

/// Until when a layer must be done.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) limit: Duration,
}

impl Deadline {
    fn check(&self) -> Result<(), Refusal> {
        if Instant::now() > self.at { Err(Refusal::DecodeTime { limit: self.limit }) } else { Ok(()) }
    }
}

/// The end of a slice of a stored file.
pub(super) struct SliceEnd {
    /// Checksum of the slice.
    pub(super) crc: crc32fast::Hasher,
    /// At the file's end: its name for refusals, and the checksum that it must have.
    pub(super) whole: Option<(String, u32)>,
}

/// Where an encoder's bytes go. An error stops the encoder.
pub(super) trait Sink {
    /// More of the tar.
    fn tar(&mut self, bytes: &[u8]) -> Result<(), Refusal>;
    /// More of the gzip member, when the encoder makes it.
    fn gzip(&mut self, bytes: &[u8]) -> Result<(), Refusal>;
    /// So many bytes were compressed.
    fn compressed(&mut self, bytes: u64) -> Result<(), Refusal>;
    /// A slice ended.
    fn slice(&mut self, end: SliceEnd) -> Result<(), Refusal>;
}

/// Encodes chunks: decodes every entry (for the tar's digest, and to see that it is sound), and hands its
/// compressed stream on as it is where that can be.
pub(super) struct Encoder<'p, 't, 'a> {
    plan: &'p Plan<'t, 'a>,
    compression: Compression,
    mtime: u64,
    deadline: Deadline,
    inflater: Inflater,
    /// Made when it is needed first: most layers of reused streams need none.
    deflater: Option<Deflater>,
    meta: Vec<u8>,
    path: String,
    out: Vec<u8>,
}

impl<'p, 't, 'a> Encoder<'p, 't, 'a> {
    pub(super) fn new(
        plan: &'p Plan<'t, 'a>,
        compression: Compression,
        mtime: u64,
        deadline: Deadline,
    ) -> Self {
        let deflater = match compression {
            Compression::Gzip(level) => Some(Deflater::new(level)),
            _ => None,
        };
        Self {
            plan,
            compression,
            mtime,
            deadline,
            inflater: Inflater::new(),
            deflater,
            meta: Vec::new(),
            path: String::new(),
            out: Vec::new(),
        }
    }

    /// Encodes one chunk.
    pub(super) fn chunk(&mut self, chunk: usize, sink: &mut dyn Sink) -> Result<(), Refusal> {
        if matches!(self.compression, Compression::Gzip(_)) {
            self.deflater().begin();
        }
        for at in self.plan.chunks[chunk].clone() {
            self.step(self.plan.steps[at], sink)?;
        }
        if chunk + 1 == self.plan.chunks.len() {
            let padding = self.plan.nodes.last().map_or(0, |node| node.padding());
            self.meta.resize(self.meta.len() + padding, 0);
            self.meta.extend(tar::END);
        }
        self.meta(sink)?;
        if matches!(self.compression, Compression::Gzip(_)) {
            self.out.clear();
            let Self { deflater, out, .. } = self;
            deflater.get_or_insert_with(|| Deflater::new(LEVEL)).end(out);
            sink.gzip(out)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let (Step::Whole { node } | Step::Slice { node, .. }) = step;
        if matches!(step, Step::Whole { .. } | Step::Slice { from: 0, .. }) {
            self.lead(node);
        }
        let Some(data) = self.plan.nodes[node].content() else { return Ok(()) };
        self.meta(sink)?;
        match step {
            Step::Whole { .. } => self.file(self.plan.nodes[node].path, data, sink),
            Step::Slice { from, to, .. } => self.slice(self.plan.nodes[node].path, data, from, to, sink),
        }
    }

    /// What stands before a node's content. The padding of the file before it travels with its header: one
    /// small stream less.
    fn lead(&mut self, node: usize) {
        let before = node.checked_sub(1).map_or(0, |before| self.plan.nodes[before].padding());
        self.meta.resize(self.meta.len() + before, 0);
        let node = &self.plan.nodes[node];
        node.tar_path(&mut self.path);
        tar::header(&self.path, node.kind, node.owner, self.mtime, &mut self.meta);
    }

    fn meta(&mut self, sink: &mut dyn Sink) -> Result<(), Refusal> {
        if self.meta.is_empty() {
            return Ok(());
        }
        self.out.clear();
        match self.compression {
            Compression::Reuse => fixed::encode(&self.meta, &mut self.out),
            Compression::Gzip(_) => {
                let Self { deflater, meta, out, .. } = self;
                deflater.get_or_insert_with(|| Deflater::new(LEVEL)).push(meta, out);
            }
            Compression::Zstd(_) | Compression::None => {}
        }
        sink.tar(&self.meta)?;
        self.meta.clear();
        sink.gzip(&self.out)
    }

    fn file(&mut self, entry: &str, data: Data<'a>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        match self.compression {
            Compression::Reuse => match self.must_compress(&data) {
                true => {
                    self.deflater().begin();
                    self.compressed(entry, data, sink)?;
                    self.end_part(sink)
                }
                false => self.reused(entry, data, sink),
            },
            Compression::Gzip(_) => self.compressed(entry, data, sink),
            Compression::Zstd(_) => {
                self.decoded(entry, data, sink)?;
                sink.compressed(data.size)
            }
            Compression::None => self.decoded(entry, data, sink),
        }
    }

    fn decoded(&mut self, entry: &str, data: Data<'a>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let deadline = self.deadline;
        data.decode(entry, &mut self.inflater, &mut |piece| {
            deadline.check()?;
            sink.tar(piece)
        })
        .map(|_| ())
    }

    fn reused(&mut self, entry: &str, data: Data<'a>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let deadline = self.deadline;
        let last = data.decode(entry, &mut self.inflater, &mut |piece| {
            deadline.check()?;
            sink.tar(piece)
        })?;
        let mut out = |piece: &[u8]| sink.gzip(piece);
        match last {
            // An empty file adds nothing to the tar, so nothing to the stream either.
            _ if data.size == 0 => Ok(()),
            Some(last) => gzip::join(data.raw, last, &mut out),
            None => gzip::stored(data.raw, &mut out),
        }
    }

    fn compressed(&mut self, entry: &str, data: Data<'a>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let deadline = self.deadline;
        let Self { deflater, inflater, out, .. } = self;
        let deflater = deflater.get_or_insert_with(|| Deflater::new(LEVEL));
        data.decode(entry, inflater, &mut |piece| {
            deadline.check()?;
            out.clear();
            deflater.push(piece, out);
            sink.tar(piece)?;
            sink.gzip(out)
        })?;
        sink.compressed(data.size)
    }

    /// Part of a large stored file. Its checksum is judged when all of it has gone by.
    fn slice(
        &mut self,
        entry: &str,
        data: Data<'a>,
        from: usize,
        to: usize,
        sink: &mut dyn Sink,
    ) -> Result<(), Refusal> {
        let bytes = &data.raw[from..to];
        let gzip = matches!(self.compression, Compression::Gzip(_));
        let apart = self.compression == Compression::Reuse && self.shrinks(bytes);
        if apart {
            self.deflater().begin();
        }
        for piece in bytes.chunks(PIECE) {
            self.deadline.check()?;
            sink.tar(piece)?;
            if gzip || apart {
                self.out.clear();
                let Self { deflater, out, .. } = self;
                deflater.get_or_insert_with(|| Deflater::new(LEVEL)).push(piece, out);
                sink.gzip(out)?;
            }
        }
        match self.compression {
            Compression::Reuse if apart => self.end_part(sink)?,
            Compression::Reuse => gzip::stored(bytes, &mut |piece| sink.gzip(piece))?,
            _ => {}
        }
        if apart || matches!(self.compression, Compression::Gzip(_) | Compression::Zstd(_)) {
            sink.compressed(bytes.len() as u64)?;
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytes);
        let whole = (to == data.raw.len()).then(|| (entry.to_owned(), data.crc));
        sink.slice(SliceEnd { crc, whole })
    }

    /// Stored data that shrinks, and streams that are larger than what they hold: padding with empty blocks
    /// is nothing that a sane tool does, and nothing to pass on.
    fn must_compress(&mut self, data: &Data<'_>) -> bool {
        match data.method {
            Method::Deflate => data.raw.len() as u64 > data.size + data.size / 100 + 128,
            Method::Stored => self.shrinks(data.raw),
        }
    }

    /// Whether compressing is worth it, as the beginning tells.
    fn shrinks(&mut self, bytes: &[u8]) -> bool {
        let sample = &bytes[..bytes.len().min(SAMPLE)];
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let deflater = self.deflater();
        deflater.begin();
        deflater.push(sample, &mut out);
        deflater.end(&mut out);
        let shrinks = out.len() * 100 < sample.len() * WORTH_PERCENT;
        self.out = out;
        shrinks
    }

    fn end_part(&mut self, sink: &mut dyn Sink) -> Result<(), Refusal> {
        self.out.clear();
        let Self { deflater, out, .. } = self;
        deflater.get_or_insert_with(|| Deflater::new(LEVEL)).end(out);
        sink.gzip(out)
    }

    fn deflater(&mut self) -> &mut Deflater {
        self.deflater.get_or_insert_with(|| Deflater::new(LEVEL))
    }
}
