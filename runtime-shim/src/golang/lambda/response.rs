//! An answer on its way from a process: whole and in JSON, or streamed, with a head of its own or without.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;

use super::report::Report;
use crate::golang::envelope::{self, Headers};
use crate::request::answer::{Answer, Refusal};
use crate::worker::frames::WINDOW;
use crate::worker::pending::Pending;
use crate::worker::stream::{self, BrokenOff};

/// The content type whose body begins with a head in JSON.
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";
const BYTES: &str = "application/octet-stream";
/// What ends that head.
const SEPARATOR: &[u8] = &[0; 8];
/// The head, at most.
const HEAD_SIZE: usize = 16 << 10;
const MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// How the body is to be read.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    /// A value in JSON: most programs.
    Json,
    /// A head, the separator, and the caller's body.
    Headed,
    /// The caller's body and its type, as `aws-lambda-go` sends readers.
    Body { kind: String, doubt: Doubt },
}

/// Not every program says that it sends JSON: the first byte decides whether that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// A body of a type may be an envelope.
    Envelope,
    /// Bytes may be any value, such as those of a `lambda.Handler`.
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = text(CONTENT_TYPE.as_str());
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_streamed = text(MODE).eq_ignore_ascii_case("streaming");
        match essence.as_str() {
            INTEGRATION => Self::Headed,
            "" | "application/json" | "application/x-www-form-urlencoded" if !is_streamed => Self::Json,
            "" => Self::Body { kind: BYTES.into(), doubt: Doubt::None },
            _ if is_streamed => Self::Body { kind: kind.to_owned(), doubt: Doubt::None },
            BYTES => Self::Body { kind: kind.to_owned(), doubt: Doubt::Json },
            _ => Self::Body { kind: kind.to_owned(), doubt: Doubt::Envelope },
        }
    }
}

/// Reads an answer to its end.
pub(super) async fn take(pending: &Pending, ticket: u32, head: &Parts, body: Incoming) {
    let mut source = Source { body, ahead: VecDeque::new() };
    let opened = match Form::of(&head.headers) {
        Form::Json => {
            source.rest(BytesMut::new()).await.and_then(|bytes| envelope::answer(&bytes)).map(Opened::Whole)
        }
        Form::Headed => source.headed().await.map(|(status, headers)| Opened::Stream(status, headers)),
        Form::Body { kind, doubt } => source.typed(kind, doubt).await,
    };
    match opened {
        Ok(Opened::Stream(status, headers)) => forward(pending, ticket, status, headers, source).await,
        Ok(Opened::Whole(answer)) => drop(pending.close(ticket, Ok(Some(answer.into())))),
        Err(refusal) => {
            pending.close(ticket, Err(refusal));
            // What is left is read, so that the process hears an answer and not a broken connection.
            while let Ok(Some(_)) = source.next().await {}
        }
    }
}

enum Opened {
    Whole(Answer),
    Stream(i64, Headers),
}

async fn forward(pending: &Pending, ticket: u32, status: i64, headers: Headers, mut source: Source) {
    let (writer, reader) = stream::open(WINDOW, Box::new(|_| ()));
    // Where nobody waits any more the bytes are read all the same, and go nowhere.
    pending.head(ticket, Answer { status, headers, body: reader }, writer.clone());
    let how = loop {
        match source.next().await {
            Ok(Some(bytes)) => writer.send(bytes).await,
            Ok(None) => break Ok(()),
            Err(refusal) => break Err(BrokenOff(refusal.message().to_owned())),
        }
    };
    pending.end(ticket, how);
}

/// The body of the process's request.
struct Source {
    body: Incoming,
    /// Read already.
    ahead: VecDeque<Bytes>,
}

impl Source {
    /// The next bytes, none at the end. An error in the trailers, or a broken connection, is a refusal.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        if let Some(bytes) = self.ahead.pop_front() {
            return Ok(Some(bytes));
        }
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| {
                Refusal::worker_killed(&format!("the handler broke its answer off: {error}"))
            })?;
            match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(frame) => {
                    if let Some(refusal) = frame.trailers_ref().and_then(said_in_trailers) {
                        return Err(refusal);
                    }
                }
            }
        }
        Ok(None)
    }

    async fn rest(&mut self, mut bytes: BytesMut) -> Result<Bytes, Refusal> {
        while let Some(more) = self.next().await? {
            bytes.extend_from_slice(&more);
        }
        Ok(bytes.freeze())
    }

    /// Status and headers from before the separator.
    async fn headed(&mut self) -> Result<(i64, Headers), Refusal> {
        let mut bytes = BytesMut::new();
        loop {
            if let Some(at) = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
                let head = bytes.split_to(at);
                self.ahead.push_front(bytes.split_off(SEPARATOR.len()).freeze());
                return with_default_type(envelope::prelude(&head)?);
            }
            let more = if bytes.len() > HEAD_SIZE { None } else { self.next().await? };
            let Some(more) = more else {
                let why = "no head of 16 KiB at most, and 8 NUL bytes, begins the handler's streamed answer";
                return Err(Refusal::malformed(why));
            };
            bytes.extend_from_slice(&more);
        }
    }

    async fn typed(&mut self, kind: String, doubt: Doubt) -> Result<Opened, Refusal> {
        let headers = vec![("Content-Type".to_owned(), kind)];
        let mut bytes = BytesMut::new();
        while let Some(more) = self.next().await? {
            bytes.extend_from_slice(&more);
            let first = bytes.trim_ascii_start().first().copied();
            let is_doubtful = match doubt {
                Doubt::None => false,
                Doubt::Envelope => matches!(first, None | Some(b'{')),
                Doubt::Json => matches!(first, None | Some(b'{' | b'[' | b'"')),
            };
            if !is_doubtful {
                self.ahead.push_front(bytes.freeze());
                return Ok(Opened::Stream(200, headers));
            }
            if first.is_some() {
                let body = self.rest(bytes).await?;
                let found = match doubt {
                    Doubt::Json => envelope::answer(&body).ok(),
                    _ => envelope::enveloped(&body).ok().flatten(),
                };
                return Ok(Opened::Whole(found.unwrap_or(Answer { status: 200, headers, body })));
            }
        }
        Ok(Opened::Whole(Answer { status: 200, headers, body: bytes.freeze() }))
    }
}

fn with_default_type((status, mut headers): (i64, Headers)) -> Result<(i64, Headers), Refusal> {
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type".into(), BYTES.into()));
    }
    Ok((status, headers))
}

/// The type as text, the report as base64 of JSON.
fn said_in_trailers(trailers: &HeaderMap) -> Option<Refusal> {
    use base64::Engine;
    trailers.get(ERROR_TYPE)?;
    let body = trailers.get(ERROR_BODY).map(|value| value.as_bytes()).unwrap_or_default();
    let body = base64::engine::general_purpose::STANDARD.decode(body).unwrap_or_default();
    Some(Report::read(trailers, &body).refusal())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&'static str, &'static str)]) -> Form {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("a value"));
        }
        Form::of(&headers)
    }

    fn body(kind: &str, doubt: Doubt) -> Form {
        Form::Body { kind: kind.into(), doubt }
    }

    #[test]
    fn the_type_says_how_an_answer_is_read() {
        assert_eq!(form(&[]), Form::Json);
        assert_eq!(form(&[("content-type", "application/json; charset=utf-8")]), Form::Json);
        assert_eq!(form(&[("content-type", "application/x-www-form-urlencoded")]), Form::Json);
        assert_eq!(form(&[("content-type", INTEGRATION)]), Form::Headed);
        assert_eq!(form(&[("content-type", "text/html")]), body("text/html", Doubt::Envelope));
        assert_eq!(form(&[("content-type", BYTES)]), body(BYTES, Doubt::Json));
        let streamed = [("content-type", "application/json"), (MODE, "streaming")];
        assert_eq!(form(&streamed), body("application/json", Doubt::None));
        assert_eq!(form(&[(MODE, "streaming")]), body(BYTES, Doubt::None));
    }

    #[test]
    fn an_error_in_the_trailers_is_told() {
        let mut trailers = HeaderMap::new();
        assert_eq!(said_in_trailers(&trailers), None);
        trailers.insert(ERROR_TYPE, "T".parse().expect("a value"));
        trailers.insert(ERROR_BODY, "eyJlcnJvck1lc3NhZ2UiOiJib29tIn0=".parse().expect("a value"));
        assert_eq!(said_in_trailers(&trailers).expect("an error").message(), "boom");
    }
}
