//! The program's answer as bytes: head, then a body with a length, in chunks, or up to the end. No I/O.

use std::io;

use bytes::{Bytes, BytesMut};

/// Most headers of an answer, and its largest head in bytes.
const HEADERS: usize = 64;
const HEAD_SIZE: usize = 64 << 10;
/// A chunk's size and extensions, in bytes.
const CHUNK_HEAD: usize = 4 << 10;
/// Room that is made ahead for a body, in bytes.
const AHEAD: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct HttpReply {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// The connection may carry another request.
    pub(super) is_reusable: bool,
}

/// Reads one answer, as bytes come.
#[derive(Default)]
pub(super) struct Parser {
    head: Option<Head>,
    chunks: BytesMut,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    framing: Framing,
    is_kept: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    /// Between chunks.
    Chunks,
    /// So many bytes of a chunk are to come, and its line break.
    Chunk(usize),
    /// After the last chunk: header lines up to an empty one.
    Trailers,
    End,
}

impl Parser {
    /// Takes what it can use. `None`: more bytes are needed.
    pub(super) fn advance(&mut self, bytes: &mut BytesMut) -> io::Result<Option<HttpReply>> {
        while self.head.is_none() {
            let Some((head, length)) = parse(bytes)? else { return Ok(None) };
            drop(bytes.split_to(length));
            // An interim answer: the final one follows.
            self.head = (head.status >= 200).then_some(head);
        }
        let Some(head) = self.head else { return Ok(None) };
        match head.framing {
            Framing::Length(length) if bytes.len() >= length => {
                Ok(Some(head.reply(bytes.split_to(length).freeze(), bytes.is_empty())))
            }
            Framing::Length(_) | Framing::End => Ok(None),
            framing => self.advance_chunks(head, framing, bytes),
        }
    }

    fn advance_chunks(
        &mut self,
        head: Head,
        mut framing: Framing,
        bytes: &mut BytesMut,
    ) -> io::Result<Option<HttpReply>> {
        loop {
            framing = match framing {
                Framing::Chunk(length) if bytes.len() >= length + 2 => {
                    self.chunks.extend_from_slice(&bytes.split_to(length));
                    if &bytes.split_to(2)[..] != b"\r\n" {
                        return Err(broken("a chunk is longer than it says"));
                    }
                    Framing::Chunks
                }
                Framing::Chunk(length) if length > 0 && !bytes.is_empty() => {
                    let part = bytes.split_to(bytes.len().min(length));
                    self.chunks.extend_from_slice(&part);
                    Framing::Chunk(length - part.len())
                }
                Framing::Chunks => match httparse::parse_chunk_size(bytes) {
                    Ok(httparse::Status::Complete((used, length))) => {
                        drop(bytes.split_to(used));
                        match usize::try_from(length).map_err(|_| broken("a chunk is too long"))? {
                            0 => Framing::Trailers,
                            length => Framing::Chunk(length),
                        }
                    }
                    Ok(httparse::Status::Partial) if bytes.len() <= CHUNK_HEAD => break,
                    _ => return Err(broken("a chunk's size is unreadable")),
                },
                Framing::Trailers => match bytes.windows(2).position(|pair| pair == b"\r\n") {
                    Some(0) => {
                        drop(bytes.split_to(2));
                        let body = self.chunks.split().freeze();
                        return Ok(Some(head.reply(body, bytes.is_empty())));
                    }
                    Some(end) => {
                        drop(bytes.split_to(end + 2));
                        Framing::Trailers
                    }
                    None if bytes.len() <= HEAD_SIZE => break,
                    None => return Err(broken("its trailers are too long")),
                },
                other => {
                    framing = other;
                    break;
                }
            };
        }
        self.head = Some(Head { framing, ..head });
        Ok(None)
    }

    /// How much room to make for what comes.
    pub(super) fn wants(&self) -> usize {
        match self.head.map(|head| head.framing) {
            Some(Framing::Length(length) | Framing::Chunk(length)) => length.clamp(4096, AHEAD),
            Some(Framing::End) => AHEAD,
            _ => 4096,
        }
    }

    /// The program has closed the connection.
    pub(super) fn closed(self, bytes: &mut BytesMut) -> io::Result<HttpReply> {
        match self.head {
            Some(head) if head.framing == Framing::End => Ok(head.reply(bytes.split().freeze(), false)),
            None if bytes.is_empty() => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed")),
            _ => Err(broken("the answer is not whole")),
        }
    }
}

impl Head {
    fn reply(self, body: Bytes, is_all: bool) -> HttpReply {
        HttpReply { status: self.status, body, is_reusable: self.is_kept && is_all }
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A head, and its length in bytes.
fn parse(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_SIZE => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(broken("its head is too long")),
        Err(error) => return Err(broken(&format!("its head is unreadable: {error}"))),
    };
    let status = response.code.unwrap_or_default();
    let values = |name: &str| -> Vec<&[u8]> {
        let named = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value).collect()
    };
    let has = |name: &str, token: &str| {
        values(name).iter().any(|value| {
            value.split(|b| *b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        })
    };
    let lengths = values("content-length");
    let framing = if status < 200 || matches!(status, 204 | 304) {
        Framing::Length(0)
    } else if has("transfer-encoding", "chunked") {
        Framing::Chunks
    } else if let [first, rest @ ..] = lengths.as_slice() {
        let text = std::str::from_utf8(first).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let length =
            text.and_then(|text| text.parse().ok()).filter(|_| rest.iter().all(|other| other == first));
        Framing::Length(length.ok_or_else(|| broken("its length is unreadable"))?)
    } else {
        Framing::End
    };
    let is_kept = match response.version {
        Some(1) => !has("connection", "close"),
        _ => has("connection", "keep-alive"),
    };
    let is_kept = is_kept && framing != Framing::End;
    Ok(Some((Head { status, framing, is_kept }, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer, and what is left, when the bytes come in pieces of this size.
    fn read(text: &str, step: usize) -> io::Result<(HttpReply, Vec<u8>)> {
        let (mut parser, mut buffer) = (Parser::default(), BytesMut::new());
        for piece in text.as_bytes().chunks(step) {
            buffer.extend_from_slice(piece);
            if let Some(reply) = parser.advance(&mut buffer)? {
                return Ok((reply, buffer.to_vec()));
            }
        }
        parser.closed(&mut buffer).map(|reply| (reply, Vec::new()))
    }

    #[test]
    fn every_framing_at_every_boundary() {
        for (text, status, body, is_reusable) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: Close\r\n\r\nhi", 200, "hi", false),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", 500, "", true),
            ("HTTP/1.1 204 x\r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
                200,
                "abc0123456789",
                true,
            ),
            ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false),
        ] {
            for step in 1..=text.len() {
                let (got, rest) = read(text, step).unwrap_or_else(|error| panic!("{error}: {text:?} {step}"));
                let expected = HttpReply { status, body: Bytes::from_static(body.as_bytes()), is_reusable };
                assert_eq!((got, rest.len()), (expected, 0), "{text:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_or_not_http_is_none() {
        for bad in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nh",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            "SSH-2.0-x\r\n\r\n",
        ] {
            for step in [1, bad.len().max(1)] {
                assert!(read(bad, step).is_err(), "{bad:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn bytes_after_an_answer_spoil_the_connection() {
        let (reply, rest) = read("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", 100).expect("an answer");
        assert!(!reply.is_reusable);
        assert_eq!(rest, b"y");
    }
}
