//! A plain HTTP/1.1 client: what is written is exactly what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::DEADLINE;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The body, and its length as a header.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// What is written; header values are Latin-1.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            out.extend(b"Host: 127.0.0.1:8080\r\n");
        }
        for (name, value) in &self.headers {
            let latin1 = value.chars().map(|c| u8::try_from(c).expect("Latin-1"));
            out.extend(name.bytes().chain(*b": ").chain(latin1).chain(*b"\r\n"));
        }
        out.extend(b"\r\n");
        [out, self.body.clone()].concat()
    }
}

/// An answer. Names are lower case, values are Latin-1.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// Statuses below 200 that came before.
    pub(crate) interim: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection ended before the body did.
    pub(crate) is_cut: bool,
}

impl Response {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The values of a header, joined.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(" | "))
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub(crate) struct Connection(BufReader<Box<dyn Stream>>);

impl Connection {
    pub(crate) fn unix(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self(BufReader::new(Box::new(stream)))
    }

    pub(crate) fn tcp(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self(BufReader::new(Box::new(stream)))
    }

    pub(crate) fn send(self, request: Request) -> Sent {
        let method = request.method.clone();
        self.raw(&request.bytes(), &method)
    }

    /// The answer and the connection; `None` when it ends without one.
    pub(crate) fn try_send(self, request: Request) -> Option<(Response, Self)> {
        let mut sent = self.send(request);
        let begins = matches!(sent.connection.0.fill_buf(), Ok(bytes) if !bytes.is_empty());
        begins.then(|| sent.response_and_rest())
    }

    /// Writes a piece of a request. The other end may have closed already.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes).and_then(|()| self.0.get_mut().flush());
    }

    /// Writes bytes as they are. The answer may come, and the connection end, before all are taken.
    pub(crate) fn raw(mut self, bytes: &[u8], method: &str) -> Sent {
        let _ = self.0.get_mut().write_all(bytes);
        Sent { connection: self, method: method.to_owned() }
    }
}

impl Connection {
    /// Another answer on this connection, to a request with this method that was sent before.
    pub(crate) fn next(&mut self, method: &str) -> Response {
        read(&mut self.0, method)
    }

    /// Whether the other side closes the connection, without another byte, within the deadline.
    pub(crate) fn closes(&mut self) -> bool {
        match self.0.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// A request whose answer is to come.
pub(crate) struct Sent {
    connection: Connection,
    method: String,
}

impl Sent {
    pub(crate) fn response(self) -> Response {
        self.response_and_rest().0
    }

    /// The head of an answer whose body comes in chunks.
    pub(crate) fn stream(mut self) -> Streamed {
        let (status, headers) = head(&mut self.connection.0);
        Streamed { status, headers, connection: self.connection }
    }

    /// The answer, and the connection for another request.
    pub(crate) fn response_and_rest(mut self) -> (Response, Connection) {
        let response = read(&mut self.connection.0, &self.method);
        (response, self.connection)
    }
}

/// A chunked answer that is read as it comes.
pub(crate) struct Streamed {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    connection: Connection,
}

impl Streamed {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The next chunk; `None` at the end, and where it was cut.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&line(&mut self.connection.0), 16).ok().filter(|size| *size > 0)?;
        let chunk = up_to(&mut self.connection.0, size);
        line(&mut self.connection.0);
        Some(chunk)
    }

    /// All that is still to come, whether it was cut, and the connection.
    pub(crate) fn rest(mut self) -> (Vec<u8>, bool, Connection) {
        let (body, is_cut) = chunks(&mut self.connection.0);
        (body, is_cut, self.connection)
    }
}

fn read(stream: &mut impl BufRead, method: &str) -> Response {
    let mut interim = Vec::new();
    let (status, headers) = loop {
        let (status, headers) = head(stream);
        if status >= 200 {
            break (status, headers);
        }
        interim.push(status);
    };
    let is_bodiless = method == "HEAD" || matches!(status, 204 | 304);
    let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (body, is_cut) = if is_bodiless {
        (Vec::new(), false)
    } else if value("transfer-encoding") == Some("chunked") {
        chunks(stream)
    } else if let Some(length) = value("content-length") {
        let length = length.parse().expect("a length");
        let body = up_to(stream, length);
        let is_cut = body.len() < length;
        (body, is_cut)
    } else if value("connection") == Some("close") {
        (up_to(stream, usize::MAX), false)
    } else {
        (Vec::new(), false)
    };
    Response { interim, status, headers, body, is_cut }
}

fn line(stream: &mut impl BufRead) -> String {
    let mut bytes = Vec::new();
    stream.read_until(b'\n', &mut bytes).expect("an answer within the deadline");
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    text.trim_end_matches(['\r', '\n']).to_owned()
}

fn head(stream: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let start = line(stream);
    let status = start.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.unwrap_or_else(|| panic!("no answer: {start:?}"));
    let mut headers = Vec::new();
    loop {
        let header = line(stream);
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    (status, headers)
}

/// At most so many bytes; fewer when the connection ends.
fn up_to(stream: &mut impl BufRead, length: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    // A connection that is reset has ended too.
    if let Err(error) = stream.take(limit).read_to_end(&mut body) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "a body within the deadline: {error}");
    }
    body
}

/// A chunked body, and whether it was cut.
fn chunks(stream: &mut impl BufRead) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let size = line(stream);
        let Ok(size) = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16) else {
            return (body, true);
        };
        let part = up_to(stream, size);
        let is_cut = part.len() < size;
        body.extend(part);
        if is_cut {
            return (body, true);
        }
        let end = line(stream);
        if size == 0 {
            assert_eq!(end, "", "no trailers");
            return (body, false);
        }
    }
}
