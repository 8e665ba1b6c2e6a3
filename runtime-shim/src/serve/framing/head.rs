//! What a head says about the body that follows it.

use super::line::{self, Violation};
use super::target;

/// Most header lines, as many as the server behind reads.
const MOST_HEADERS: usize = 100;
/// Longest name of a header, as long as the server behind takes.
const LONGEST_NAME: usize = u16::MAX as usize;
/// Most bytes of a body; the two numbers above stand for something else in the server behind.
const LONGEST_BODY: u64 = u64::MAX - 2;

/// A head, so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    is_http_10: bool,
    is_of_head: bool,
    headers: usize,
    has_host: bool,
    length: Option<u64>,
    is_chunked: bool,
}

/// How the end of a body is found.
pub(super) enum BodyFraming {
    Length(u64),
    Chunked,
}

impl Head {
    pub(super) fn start(line: &[u8]) -> Result<Self, Violation> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (method, target, version) = (parts.next(), parts.next(), parts.next());
        let is_http_10 = match version {
            Some(b"HTTP/1.1") => false,
            Some(b"HTTP/1.0") => true,
            _ => return Err(Violation::RequestLine),
        };
        let (Some(method), Some(target), None) = (method, target, parts.next()) else {
            return Err(Violation::RequestLine);
        };
        if !line::is_token(method) {
            return Err(Violation::RequestLine);
        }
        target::check(target)?;
        Ok(Self { is_http_10, is_of_head: method == b"HEAD", ..Self::default() })
    }

    /// Whether its method is HEAD.
    pub(super) fn is_of_head(&self) -> bool {
        self.is_of_head
    }

    pub(super) fn header(&mut self, line: &[u8]) -> Result<(), Violation> {
        let (name, value) = line::field(line)?;
        self.headers += 1;
        if self.headers > MOST_HEADERS {
            return Err(Violation::ManyHeaders);
        }
        if name.len() > LONGEST_NAME {
            return Err(Violation::LongName);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Violation> {
        if std::mem::replace(&mut self.has_host, true) {
            return Err(Violation::HostTwice);
        }
        if line::is_host(value) { Ok(()) } else { Err(Violation::Host) }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.is_chunked {
            return Err(Violation::TwoFramings);
        }
        if self.length.is_some() {
            return Err(Violation::LengthTwice);
        }
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let length = digits.and_then(|text| text.parse().ok()).filter(|length| *length <= LONGEST_BODY);
        self.length = Some(length.ok_or(Violation::Length)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.is_http_10 {
            return Err(Violation::TransferEncodingInHttp10);
        }
        if self.length.is_some() {
            return Err(Violation::TwoFramings);
        }
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Violation::TransferEncoding);
        }
        self.is_chunked = true;
        Ok(())
    }

    pub(super) fn end(&self) -> Result<BodyFraming, Violation> {
        if !self.has_host && !self.is_http_10 {
            return Err(Violation::HostMissing);
        }
        Ok(if self.is_chunked { BodyFraming::Chunked } else { BodyFraming::Length(self.length.unwrap_or(0)) })
    }
}

/// A line of the trailer section: what frames or routes a message may not come after it.
pub(super) fn trailer(line: &[u8]) -> Result<(), Violation> {
    const FORBIDDEN: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"host"];
    let (name, _) = line::field(line)?;
    if FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
        return Err(Violation::Trailer);
    }
    Ok(())
}
