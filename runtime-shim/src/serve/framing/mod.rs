//! Where requests begin and end on an HTTP/1 connection: RFC 9112, read strictly.
//!
//! The server behind it forgives what a proxy before it may read in another way: two framings, equal lengths given
//! twice, lines that end in a bare LF. What is read in two ways can smuggle a request past the first reader, so
//! it is refused here. No I/O: bytes come in as they were read, in any pieces.
//!
//! States: `Preface` -> `Through` (HTTP/2, whose frames need none of this) or `RequestLine`; `RequestLine` ->
//! `HeaderLine` -> `RequestLine`, `Body` or `ChunkSize`; `ChunkSize` -> `ChunkData` -> `ChunkEnd` -> `ChunkSize`;
//! the last `ChunkSize` -> `TrailerLine` -> `RequestLine`. A violation ends everything.

mod head;
mod line;
mod target;

use self::head::{BodyFraming, Head};
pub(crate) use self::line::Violation;

/// How an HTTP/2 connection with prior knowledge begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest line with the size of a chunk, its extensions included.
const LONGEST_CHUNK_LINE: usize = 256;
/// Longest line of a trailer section.
const LONGEST_TRAILER: usize = 8 << 10;

/// Follows one connection.
pub(super) struct Framing {
    state: State,
    /// Longest head, in bytes.
    longest_head: usize,
    /// So many bytes of the head that comes in now were taken.
    head_bytes: usize,
    /// The beginning of a line whose end is not there yet.
    line: Vec<u8>,
    head: Head,
    /// Heads that are over.
    heads: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of HTTP/2's preface have come.
    Preface(usize),
    Through,
    RequestLine,
    HeaderLine,
    /// So many bytes are to come.
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    TrailerLine,
}

/// What the connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has come yet.
    Fresh,
    /// The rest of a head; the number tells one head from the next.
    Head(u64),
    /// The rest of a body.
    Body,
    /// The next request, or the end of what runs.
    Between,
}

/// What breaks the rules, and how many of the bytes just read may be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) at: usize,
    pub(super) violation: Violation,
    /// Whether that is in a head, and then of which method; else in a body.
    pub(super) head: Option<HeadOf>,
}

/// Whose head it is: an answer to HEAD has no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadOf {
    Head,
    Another,
}

impl Framing {
    pub(super) fn new(longest_head: usize) -> Self {
        let (state, head) = (State::Preface(0), Head::default());
        Self { state, longest_head, head_bytes: 0, line: Vec::new(), head, heads: 0 }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.state {
            State::Preface(0) => Stage::Fresh,
            State::Through => Stage::Between,
            State::RequestLine if self.line.is_empty() => Stage::Between,
            State::Preface(_) | State::RequestLine | State::HeaderLine => Stage::Head(self.heads),
            _ => Stage::Body,
        }
    }

    /// The number of the head that has begun and is not over, when it is one of HTTP/1.
    pub(super) fn head_begun(&self) -> Option<u64> {
        match self.stage() {
            Stage::Head(number) if !matches!(self.state, State::Preface(_)) => Some(number),
            _ => None,
        }
    }

    /// Takes in the next bytes. Tells how many of them may be passed on: the others are of a head that is not over.
    /// After a refusal it is not to be asked again.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        let (mut at, mut whole) = (0, 0);
        while at < bytes.len() {
            let before = self.state;
            // Known before its line is: a line that breaks a rule starts no head.
            let is_of_head = self.is_of_head(&bytes[at..]);
            match self.step(&bytes[at..]) {
                Ok(taken) => at += taken,
                Err(violation) => {
                    let head = if is_of_head { Some(HeadOf::Head) } else { self.head_of(before) };
                    return Err(Refused { at: if head.is_some() { whole } else { at }, violation, head });
                }
            }
            if !self.is_in_head() {
                whole = at;
            }
        }
        Ok(whole)
    }

    /// Whether what comes is the first line of a HEAD request.
    fn is_of_head(&self, bytes: &[u8]) -> bool {
        let (before, rest) = b"HEAD ".split_at(self.line.len().min(5));
        matches!(self.state, State::RequestLine | State::Preface(0))
            && self.line.starts_with(before)
            && bytes.starts_with(rest)
    }

    fn is_in_head(&self) -> bool {
        matches!(self.stage(), Stage::Head(_))
    }

    /// The head to which the line belongs that a state waits for.
    fn head_of(&self, state: State) -> Option<HeadOf> {
        match state {
            // `head` is of this one from its first line's end on.
            State::HeaderLine if self.head.is_of_head() => Some(HeadOf::Head),
            State::Preface(_) | State::RequestLine | State::HeaderLine => Some(HeadOf::Another),
            _ => None,
        }
    }

    /// Takes some bytes, at least one, from the front. Nothing of what breaks the rules may be passed on, so
    /// whatever a line decides is decided before its end is taken.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        match self.state {
            State::Preface(seen) => self.preface(seen, bytes),
            State::Through => Ok(bytes.len()),
            State::Body(left) => {
                let (taken, left) = data(left, bytes);
                self.state = if left == 0 { State::RequestLine } else { State::Body(left) };
                Ok(taken)
            }
            State::ChunkData(left) => {
                let (taken, left) = data(left, bytes);
                self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                Ok(taken)
            }
            State::RequestLine | State::HeaderLine => {
                let left = self.longest_head - self.head_bytes + self.line.len();
                let taken = self.with_line(bytes, left).map_err(|why| match why {
                    Violation::LongLine => Violation::LongHead,
                    why => why,
                })?;
                self.head_bytes = if self.is_in_head() { self.head_bytes + taken } else { 0 };
                Ok(taken)
            }
            State::ChunkSize => self.with_line(bytes, LONGEST_CHUNK_LINE),
            // CR and LF: a longer line is data where none may be.
            State::ChunkEnd => self.with_line(bytes, 2).map_err(|_| Violation::ChunkEnd),
            State::TrailerLine => self.with_line(bytes, LONGEST_TRAILER),
        }
    }

    fn preface(&mut self, seen: usize, bytes: &[u8]) -> Result<usize, Violation> {
        let same = PREFACE[seen..].iter().zip(bytes).take_while(|(a, b)| a == b).count();
        let seen = seen + same;
        if seen == PREFACE.len() {
            self.state = State::Through;
        } else if same == bytes.len() {
            self.state = State::Preface(seen);
        } else {
            // HTTP/1 after all: what came in earlier reads is read now. A violation in it counts from here.
            self.state = State::RequestLine;
            self.read(&PREFACE[..seen - same]).map_err(|refused| refused.violation)?;
            return self.step(bytes);
        }
        Ok(same)
    }

    /// Takes the rest of a line and lets it decide, or puts its beginning by.
    fn with_line(&mut self, bytes: &[u8], longest: usize) -> Result<usize, Violation> {
        let end = memchr::memchr(b'\n', bytes).map(|end| end + 1);
        let taken = end.unwrap_or(bytes.len());
        if self.line.len() + taken > longest {
            return Err(Violation::LongLine);
        }
        if end.is_none() {
            self.line.extend_from_slice(bytes);
            return Ok(taken);
        }
        if self.line.is_empty() {
            self.decide(&bytes[..taken])?;
            return Ok(taken);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(&bytes[..taken]);
        self.decide(&line)?;
        // Lines are split rarely, and most connections wait for long: nothing is kept.
        Ok(taken)
    }

    /// A whole line, its LF included, moves the state.
    fn decide(&mut self, line: &[u8]) -> Result<(), Violation> {
        let line = line::content(line)?;
        self.state = match self.state {
            // RFC 9112, section 2.2: empty lines before a request are to be ignored.
            State::RequestLine if line.is_empty() => State::RequestLine,
            State::RequestLine => {
                self.head = Head::start(line)?;
                State::HeaderLine
            }
            State::HeaderLine if line.is_empty() => {
                self.heads += 1;
                match self.head.end()? {
                    BodyFraming::Length(0) => State::RequestLine,
                    BodyFraming::Length(length) => State::Body(length),
                    BodyFraming::Chunked => State::ChunkSize,
                }
            }
            State::HeaderLine => {
                self.head.header(line)?;
                State::HeaderLine
            }
            State::ChunkSize => match line::chunk_size(line)? {
                0 => State::TrailerLine,
                size => State::ChunkData(size),
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(Violation::ChunkEnd),
            State::TrailerLine if line.is_empty() => State::RequestLine,
            State::TrailerLine => {
                head::trailer(line)?;
                State::TrailerLine
            }
            // No lines here.
            state @ (State::Preface(_) | State::Through | State::Body(_) | State::ChunkData(_)) => state,
        };
        Ok(())
    }
}

/// How many of `bytes` belong to a body with so many to come, and how many are to come then.
fn data(left: u64, bytes: &[u8]) -> (usize, u64) {
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (taken, left - taken as u64)
}

#[cfg(test)]
mod tests;
