//! The request to the program: what `scaleway-functions-go` reads, and no byte of it made twice.

use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use serde::Serialize;

use crate::config::Function;

/// What comes before an event, up to its length, and after it: the same for every request.
pub(super) struct Wire {
    head: Vec<u8>,
    before: &'static [u8],
    after: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rest<'a> {
    context: Context<'a>,
    handler_name: &'a str,
    handler_path: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    memory_limit_in_mb: u32,
    function_name: &'a str,
    function_version: &'a str,
}

impl Wire {
    pub(super) fn new(upstream: SocketAddr, function: &Function) -> Self {
        let context = Context {
            memory_limit_in_mb: function.memory_mb,
            function_name: &function.name,
            function_version: &function.version,
        };
        let handler_path = contract::environment::CODE_DIRECTORY;
        let rest = Rest { context, handler_name: &function.handler, handler_path };
        let mut after = crate::request::ascii_json(&rest);
        // `{"event":…` takes its place.
        after[0] = b',';
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {upstream}\r\nContent-Type: application/json\r\nContent-Length: "
        );
        Self { head: head.into(), before: b"{\"event\":", after: after.into() }
    }

    /// `event` is JSON.
    pub(super) fn request(&self, event: Vec<u8>) -> impl Buf + use<> {
        let length = self.before.len() + event.len() + self.after.len();
        let mut head = Vec::with_capacity(self.head.len() + 32);
        head.extend_from_slice(&self.head);
        head.extend_from_slice(length.to_string().as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        head.extend_from_slice(self.before);
        Bytes::from(head).chain(Bytes::from(event)).chain(self.after.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_as_the_library_reads_it() {
        let function =
            Function { name: "f".into(), version: "1".into(), memory_mb: 128, handler: "é".into() };
        let wire = Wire::new(SocketAddr::from(([127, 0, 0, 1], 8081)), &function);
        let mut request = wire.request(br#"{"path":"/"}"#.to_vec());
        let bytes = request.copy_to_bytes(request.remaining());
        let text = std::str::from_utf8(&bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("POST / HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n"), "{head}");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        let expected = serde_json::json!({
            "event": {"path": "/"},
            "context": {"memoryLimitInMb": 128, "functionName": "f", "functionVersion": "1"},
            "handlerName": "é", "handlerPath": "/home/app/function",
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).expect("JSON"), expected);
    }
}
