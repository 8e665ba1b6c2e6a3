//! Requests and answers: signed anew each time, repeated a few times when nobody answers, never without a bound.

use std::{net::IpAddr, time::Duration};

use reqwest::{RequestBuilder, Response, StatusCode};
use rusty_s3::S3Action;

use super::{Bucket, BucketError};

/// How long a request of this server's own is good for.
const LIFE: Duration = Duration::from_secs(300);
/// How long after each failure the same is asked again.
const WAITS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(2)];
const CONNECT: Duration = Duration::from_secs(5);
/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);
/// More than a page of a list takes.
const MOST_TEXT: usize = 4 << 20;

/// Headers that are signed with a request.
pub(super) type Headers<'a> = [(&'static str, &'a str)];

/// A client for one bucket.
pub(super) fn client(endpoint: &reqwest::Url) -> Result<reqwest::Client, BucketError> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("zipship/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        // A signed URL is for one host.
        .redirect(reqwest::redirect::Policy::none());
    let host = endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    // No proxy reaches this machine's own addresses.
    let builder = if is_here { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| BucketError::Setup(format!("a client for the bucket: {error}")))
}

impl Bucket {
    /// The request of an action, signed with these headers.
    pub(super) fn request<'a, A: S3Action<'a>>(
        &self,
        mut action: A,
        headers: &Headers<'a>,
    ) -> RequestBuilder {
        for (name, value) in headers {
            action.headers_mut().insert(*name, *value);
        }
        let url = action.sign(LIFE);
        let request = match A::METHOD {
            rusty_s3::Method::Put => self.0.http.put(url),
            rusty_s3::Method::Delete => self.0.http.delete(url),
            _ => self.0.http.get(url),
        };
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }

    /// Asks until there is an answer, a few times at most. What is no success is an error.
    pub(super) async fn send(
        &self,
        object: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, BucketError> {
        let mut waits = WAITS.into_iter();
        loop {
            let error = match request().send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => self.refusal(object, response).await,
                Err(error) => self.unavailable(cause(error)),
            };
            match waits.next() {
                Some(wait) if matches!(error, BucketError::Unavailable { .. }) => {
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// A body as text.
    pub(super) async fn text(&self, mut response: Response) -> Result<String, BucketError> {
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.broken(cause(error)))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MOST_TEXT {
                return Err(self.broken("a text without end"));
            }
        }
        String::from_utf8(bytes).map_err(|_| self.broken("a text that is not UTF-8"))
    }

    async fn refusal(&self, object: &str, response: Response) -> BucketError {
        let status = response.status();
        // Nothing else of it: it repeats what was signed.
        let text = self.text(response).await.unwrap_or_default();
        let code = within(&text, "Code").unwrap_or_else(|| status.canonical_reason().unwrap_or("unknown"));
        let place = self.0.place.clone();
        match status {
            // The second: it changes at this moment.
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => BucketError::Changed,
            StatusCode::NOT_FOUND if ["NoSuchKey", "Not Found"].contains(&code) => {
                BucketError::Missing { place, object: object.to_owned() }
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => self.unavailable(code),
            status if status.is_server_error() => self.unavailable(format!("{} {code}", status.as_u16())),
            _ => BucketError::Refused { place, code: code.to_owned() },
        }
    }

    pub(super) fn unavailable(&self, cause: impl Into<String>) -> BucketError {
        BucketError::Unavailable { place: self.0.place.clone(), cause: cause.into() }
    }

    pub(super) fn broken(&self, cause: impl Into<String>) -> BucketError {
        BucketError::Broken { place: self.0.place.clone(), cause: cause.into() }
    }
}

/// What is at the bottom of it, without the URL.
pub(super) fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut bottom: &dyn std::error::Error = &error;
    while let Some(below) = bottom.source() {
        bottom = below;
    }
    bottom.to_string()
}

/// The text within an element.
pub(super) fn within<'a>(xml: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    rest.split_once(&format!("</{element}>")).map(|(text, _)| text)
}
