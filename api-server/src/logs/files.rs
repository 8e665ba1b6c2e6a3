//! The files of one application's log. One writer; readers take a [`Shot`] of what there is and go on without it.
//!
//! A line counts once the system has all its bytes: a killed server loses what it had not written yet and nothing
//! else, and a record that was cut is removed at the next opening ([`super::segment::recover`]).

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    record::Line,
    segment::{self, Marks, Segment},
    view::Extent,
};

/// Level of zstd: what is written once and hardly read.
const LEVEL: i32 = 3;
/// Most bytes that a segment is read with; what is written is far below.
const SEGMENT_BYTES: usize = 64 << 20;

/// Records of several lines.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The records.
    pub(crate) bytes: Vec<u8>,
    /// Where each of them begins.
    pub(crate) starts: Vec<u32>,
}

/// The files of one log.
#[derive(Debug)]
pub(crate) struct Files {
    folder: Arc<Path>,
    segments: VecDeque<Segment>,
    next: u64,
    /// Of the last segment, which is the one that is written to.
    marks: Marks,
    /// When its first line was said, in milliseconds.
    since: Option<u64>,
    live: Option<File>,
}

/// What there is to read at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    folder: Arc<Path>,
    segments: Vec<Segment>,
    next: u64,
    marks: Marks,
}

impl Files {
    /// The log in a folder, which need not be there yet.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let mut files = Self {
            folder: folder.into(),
            segments: VecDeque::new(),
            next: 0,
            marks: Marks::default(),
            since: None,
            live: None,
        };
        files.segments = found(folder)?;
        if let Some(last) = files.segments.back().copied() {
            files.recover(last)?;
        }
        Ok(files)
    }

    /// Cuts off what a crash left unfinished.
    fn recover(&mut self, last: Segment) -> io::Result<()> {
        let bytes = read_whole(&self.folder, last)?;
        let found = segment::recover(last.base, &bytes);
        self.next = last.base + found.count;
        (self.marks, self.since) = (found.marks, found.since);
        if last.packed {
            // Never written to again.
            return self.roll();
        }
        if found.bytes < bytes.len() as u64 {
            let file = File::options().write(true).open(self.path(last.base, false))?;
            file.set_len(found.bytes)?;
            tracing::warn!(
                folder = %self.folder.display(), bytes = bytes.len() as u64 - found.bytes,
                "the end of a log was cut off: it had not been written whole"
            );
        }
        if let Some(live) = self.segments.back_mut() {
            live.bytes = found.bytes;
        }
        Ok(())
    }

    /// For a reader.
    pub(crate) fn shot(&self) -> Shot {
        Shot {
            folder: Arc::clone(&self.folder),
            segments: self.segments.iter().copied().collect(),
            next: self.next,
            marks: self.marks.clone(),
        }
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Writes lines behind those that there are. After an error none of them is there.
    pub(crate) fn append(&mut self, batch: &Batch, now: u64) -> io::Result<()> {
        if self.segments.is_empty() {
            fs::create_dir_all(&self.folder)?;
            self.roll()?;
        }
        let Some(Segment { base, bytes: offset, .. }) = self.segments.back().copied() else { return Ok(()) };
        let live = match &mut self.live {
            Some(live) => live,
            none => {
                none.insert(File::options().append(true).open(self.folder.join(Segment::name(base, false)))?)
            }
        };
        if let Err(error) = live.write_all(&batch.bytes) {
            // A part of it may be there.
            let cut = live.set_len(offset);
            self.live = None;
            return Err(cut.err().unwrap_or(error));
        }
        for (number, start) in (self.next..).zip(&batch.starts) {
            self.marks.add(number, offset + u64::from(*start));
        }
        self.since.get_or_insert(now);
        self.next += batch.starts.len() as u64;
        if let Some(live) = self.segments.back_mut() {
            live.bytes += batch.bytes.len() as u64;
        }
        Ok(())
    }

    /// Whether the segment that is written to is to be closed: it is that large, or its first line that old.
    pub(crate) fn is_full(&self, bytes: u64, before: u64) -> bool {
        let Some(live) = self.segments.back() else { return false };
        live.bytes >= bytes || self.since.is_some_and(|since| live.bytes > 0 && since < before)
    }

    /// Begins another segment.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        let path = self.path(self.next, false);
        self.live = Some(File::options().append(true).create(true).open(path)?);
        self.segments.push_back(Segment { base: self.next, bytes: 0, packed: false });
        (self.marks, self.since) = (Marks::default(), None);
        Ok(())
    }

    /// Segments that are closed and not compressed.
    pub(crate) fn unpacked(&self) -> Vec<u64> {
        let closed = self.segments.iter().rev().skip(1);
        closed.filter(|segment| !segment.packed).map(|segment| segment.base).collect()
    }

    /// A segment was compressed by [`pack`], to so many bytes.
    pub(crate) fn packed(&mut self, base: u64, bytes: u64) {
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.base == base) {
            (segment.packed, segment.bytes) = (true, bytes);
        }
        // A reader that has it open goes on.
        remove(&self.path(base, false));
    }

    /// Removes the oldest segments until no more than so many bytes are left.
    pub(crate) fn shrink(&mut self, most: u64) {
        while self.segments.len() > 1 && self.bytes() > most {
            self.remove_oldest();
        }
    }

    /// Removes the segments up to the one that begins with this line.
    pub(crate) fn remove_through(&mut self, base: u64) -> io::Result<()> {
        if self.segments.back().is_some_and(|last| last.base <= base && last.bytes > 0) {
            self.roll()?;
        }
        while self.segments.len() > 1 && self.segments.front().is_some_and(|first| first.base <= base) {
            self.remove_oldest();
        }
        Ok(())
    }

    fn remove_oldest(&mut self) {
        if let Some(Segment { base, packed, .. }) = self.segments.pop_front() {
            remove(&self.path(base, packed));
        }
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> Arc<Path> {
        Arc::clone(&self.folder)
    }

    fn path(&self, base: u64, packed: bool) -> PathBuf {
        self.folder.join(Segment::name(base, packed))
    }
}

impl Shot {
    /// The lines that it has.
    pub(crate) fn extent(&self) -> Extent {
        Extent { first: self.segments.first().map_or(self.next, |first| first.base), next: self.next }
    }

    /// The lines with these numbers; `None` stands for one that can't be read. Of what was removed meanwhile
    /// [`io::ErrorKind::NotFound`].
    pub(crate) fn lines(&self, wanted: Range<u64>) -> io::Result<Vec<Option<Line>>> {
        let mut found = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let end = self.segments.get(at + 1).map_or(self.next, |next| next.base);
            let part = wanted.start.max(segment.base)..wanted.end.min(end);
            if part.is_empty() {
                continue;
            }
            let (base, bytes) = match at + 1 == self.segments.len() {
                true => self.live(*segment, part.start)?,
                false => (segment.base, read_whole(&self.folder, *segment)?),
            };
            let mut lines = segment::lines(base, &bytes, part.clone());
            // Numbers stay what they are, whatever happened to a file.
            lines.resize_with(usize::try_from(part.end - part.start).unwrap_or(0), || None);
            found.append(&mut lines);
        }
        Ok(found)
    }

    /// What is written of the segment that is written to, from a line that is not after the wanted one.
    fn live(&self, segment: Segment, wanted: u64) -> io::Result<(u64, Vec<u8>)> {
        let (number, offset) = self.marks.before(wanted).unwrap_or((segment.base, 0));
        let mut file = match File::open(self.folder.join(Segment::name(segment.base, false))) {
            Ok(file) => file,
            // It was closed and compressed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((segment.base, read_whole(&self.folder, segment)?));
            }
            Err(error) => return Err(error),
        };
        file.seek(io::SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(segment.bytes - offset).read_to_end(&mut bytes)?;
        Ok((number, bytes))
    }
}

/// Compresses a closed segment; answers its new size. [`Files::packed`] takes note of it.
pub(crate) fn pack(folder: &Path, base: u64) -> io::Result<u64> {
    let plain = folder.join(Segment::name(base, false));
    let said = fs::metadata(&plain)?.modified().unwrap_or_else(|_| SystemTime::now());
    let packed = zstd::bulk::compress(&fs::read(&plain)?, LEVEL)?;
    let (new, target) = (folder.join(format!("{base:016x}.new")), folder.join(Segment::name(base, true)));
    let mut file = File::create(&new)?;
    file.write_all(&packed)?;
    // Its age is that of its lines.
    file.set_modified(said)?;
    // Before the other one goes.
    file.sync_all()?;
    fs::rename(new, target)?;
    Ok(packed.len() as u64)
}

/// Segments in a folder, in order. What a crash left beside them goes.
fn found(folder: &Path) -> io::Result<VecDeque<Segment>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        entries => entries?,
    };
    let mut found: Vec<Segment> = Vec::new();
    for entry in entries {
        let entry = entry?;
        match Segment::parse(&entry.file_name().to_string_lossy()) {
            Some((base, packed)) => found.push(Segment { base, bytes: entry.metadata()?.len(), packed }),
            None => remove(&entry.path()),
        }
    }
    // Of two that hold the same lines the compressed one is whole.
    found.sort_by_key(|segment| (segment.base, !segment.packed));
    found.dedup_by(|second, first| {
        let same = second.base == first.base;
        if same {
            remove(&folder.join(Segment::name(second.base, second.packed)));
        }
        same
    });
    Ok(found.into())
}

/// A segment's records, however they lie there by now.
fn read_whole(folder: &Path, segment: Segment) -> io::Result<Vec<u8>> {
    let packed = || {
        let bytes = fs::read(folder.join(Segment::name(segment.base, true)))?;
        let mut records = Vec::new();
        let decoder = zstd::stream::read::Decoder::new(&bytes[..])?;
        match decoder.take(SEGMENT_BYTES as u64).read_to_end(&mut records) {
            Ok(_) => {}
            // What came before the damage is good: each record has its checksum.
            Err(error) => {
                tracing::error!(folder = %folder.display(), base = segment.base, %error, "a log is damaged");
            }
        }
        Ok(records)
    };
    if segment.packed {
        return packed();
    }
    match fs::read(folder.join(Segment::name(segment.base, false))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => packed(),
        read => read,
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), %error, "a file of a log could not be removed");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
