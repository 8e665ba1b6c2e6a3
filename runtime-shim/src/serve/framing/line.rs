//! The grammar of single lines, and what is wrong with one.

/// Why a connection is not read on. The sentence is what the caller, or the log, is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a line ends in LF without CR")]
    BareLf,
    #[error("a line has a control character")]
    Control,
    #[error("a line is too long")]
    LongLine,
    #[error("the request line is not `method target HTTP/1.1`")]
    RequestLine,
    #[error("the target of the request is no URI")]
    Target,
    #[error("the target of the request is too long")]
    LongTarget,
    #[error("the head is too long")]
    LongHead,
    #[error("the name of a header is too long")]
    LongName,
    #[error("there are too many headers")]
    ManyHeaders,
    #[error("a header line is folded")]
    Folded,
    #[error("a header line has no name of legal characters directly before its colon")]
    HeaderName,
    #[error("the Host header is missing")]
    HostMissing,
    #[error("the Host header is given twice")]
    HostTwice,
    #[error("the Host header is no host")]
    Host,
    #[error("Content-Length is given twice")]
    LengthTwice,
    #[error("Content-Length is no number")]
    Length,
    #[error("the body is framed by Content-Length and by Transfer-Encoding")]
    TwoFramings,
    #[error("Transfer-Encoding is not `chunked` alone")]
    TransferEncoding,
    #[error("Transfer-Encoding in HTTP/1.0")]
    TransferEncodingInHttp10,
    #[error("the size of a chunk is no hexadecimal number")]
    ChunkSize,
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    #[error("a trailer has a name that only a header may have")]
    Trailer,
}

/// The line without its CR LF. Tabs are the only control characters in it.
pub(super) fn content(line: &[u8]) -> Result<&[u8], Violation> {
    let line = line.strip_suffix(b"\r\n").ok_or(Violation::BareLf)?;
    // No early end: the loop is done with vectors.
    let has_control = line.iter().fold(false, |has, byte| has | is_control(*byte));
    if has_control { Err(Violation::Control) } else { Ok(line) }
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// `tchar` of RFC 9110, section 5.6.2.
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");
/// What `uri-host [ ":" port ]` consists of: RFC 3986, section 3.2.2.
const HOST: [bool; 256] = table(b"-._~!$&'()*+,;=%:[]");

/// Letters, digits and `others`.
const fn table(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

pub(super) fn is_host(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| HOST[usize::from(*byte)])
}

/// Name and value of a field, without the white space around the value.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Violation::Folded);
    }
    let colon = line.iter().position(|byte| !TOKEN[usize::from(*byte)]).ok_or(Violation::HeaderName)?;
    if colon == 0 || line[colon] != b':' {
        return Err(Violation::HeaderName);
    }
    Ok((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// A chunk's size; extensions after a semicolon are skipped.
pub(super) fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    const MOST_DIGITS: usize = 16;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let is_size = (1..=MOST_DIGITS).contains(&digits) && matches!(line.get(digits), None | Some(b';'));
    let text = std::str::from_utf8(&line[..digits]).ok().filter(|_| is_size);
    text.and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(Violation::ChunkSize)
}
