//! The bytes of a vector's request. Heads are Latin-1, bodies UTF-8 unless they are given as bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::token::Made;

/// Text, the same text many times, or parts of both.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum Text {
    Plain(String),
    Repeated { repeat: String, times: usize },
    Parts(Vec<Text>),
}

impl Text {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Repeated { repeat, times } => repeat.repeat(*times),
            Self::Parts(parts) => parts.iter().map(Self::text).collect(),
        }
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    method: Option<String>,
    path: Option<Text>,
    #[serde(default)]
    headers: Vec<(String, Text)>,
    body: Option<Text>,
    /// The body in base64.
    bytes: Option<String>,
    /// The body in chunks.
    chunks: Option<Vec<Text>>,
    /// The whole request, one character a byte.
    raw: Option<Text>,
}

impl Request {
    /// The first word of what is sent.
    pub(super) fn method(&self) -> String {
        let raw = self.raw.as_ref().map(Text::text);
        let first = raw.as_deref().map(|raw| raw.split(' ').next().unwrap_or_default().to_owned());
        first.or_else(|| self.method.clone()).unwrap_or_else(|| "GET".into())
    }

    pub(super) fn bytes(&self, token: Option<&Made>) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return latin1(&fill(&raw.text(), token));
        }
        let path = self.path.as_ref().map_or_else(|| "/".into(), Text::text);
        let mut head = format!("{} {path} HTTP/1.1\r\n", self.method());
        for (name, value) in self.headers(token) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [latin1(&head), self.body()].concat()
    }

    fn headers(&self, token: Option<&Made>) -> Vec<(String, String)> {
        let has = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut headers = Vec::new();
        if !has("host") {
            headers.push(("Host".into(), "127.0.0.1:8080".into()));
        }
        let text: String = self.headers.iter().map(|(_, value)| value.text()).collect();
        if token.is_some() && !text.contains('{') {
            headers.push(("SCW-Functions-Token".into(), fill("{token}", token)));
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), fill(&value.text(), token))));
        if self.chunks.is_some() {
            headers.push(("Transfer-Encoding".into(), "chunked".into()));
        } else if (self.body.is_some() || self.bytes.is_some()) && !has("content-length") {
            headers.push(("Content-Length".into(), self.body().len().to_string()));
        }
        headers
    }

    fn body(&self) -> Vec<u8> {
        if let Some(chunks) = &self.chunks {
            let chunk = |text: &Text| {
                let text = text.text();
                [format!("{:x}\r\n", text.len()).into_bytes(), text.into_bytes(), b"\r\n".to_vec()].concat()
            };
            return [chunks.iter().flat_map(chunk).collect(), b"0\r\n\r\n".to_vec()].concat();
        }
        let bytes = self.bytes.as_ref().map(|bytes| STANDARD.decode(bytes).expect("base64"));
        bytes.or_else(|| self.body.as_ref().map(|body| body.text().into_bytes())).unwrap_or_default()
    }
}

fn fill(text: &str, token: Option<&Made>) -> String {
    token.map_or_else(|| text.to_owned(), |token| token.fill(text))
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1: write UTF-8 as its bytes")).collect()
}
