//! What a head says about the body that follows it.

use super::line::{self, Violation};

/// A head, so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    is_http_10: bool,
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
        let is_target = target.is_some_and(|target| !target.is_empty() && !target.contains(&b'\t'));
        if !is_target || !method.is_some_and(line::is_token) || parts.next().is_some() {
            return Err(Violation::RequestLine);
        }
        Ok(Self { is_http_10, ..Self::default() })
    }

    pub(super) fn header(&mut self, line: &[u8]) -> Result<(), Violation> {
        let (name, value) = line::field(line)?;
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
        self.length = Some(digits.and_then(|text| text.parse().ok()).ok_or(Violation::Length)?);
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
