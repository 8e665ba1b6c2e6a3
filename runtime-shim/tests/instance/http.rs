//! A client that sends what it is told, byte for byte.

use std::{
    io::{Read, Write},
    time::Duration,
};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As sent, in order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends `head` (without the closing empty line) and `body`, and reads the answer.
pub(crate) fn send(mut stream: impl Read + Write, head: &str, body: &[u8]) -> Answer {
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    // The shim may refuse and hang up before it has read everything.
    let _ = stream.write_all(body);
    read(stream)
}

/// A request with a counted body.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:8080");
    if !body.is_empty() {
        head += &format!("\r\nContent-Length: {}", body.len());
    }
    for (name, value) in headers {
        head += &format!("\r\n{name}: {value}");
    }
    head
}

pub(crate) fn read(mut stream: impl Read) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer is no concern of ours.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
    let head: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(':').unwrap());
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}

/// How long a test waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
