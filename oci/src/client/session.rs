//! The bytes of one blob into an upload session.
//!
//! One PUT takes them all. Where a registry does not have that, they go by one PATCH, and where that is too much, by
//! many; the session then ends with a PUT without a body. After a break the registry is asked how much it has, and
//! the rest is sent; a session that does not say is given up.

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::body::{Body, Part};
use super::error::ClientError;
use super::exchange::{Exchange, Outgoing};
use super::location::follow;
use super::patience::{Failure, Patience, Remedy};
use super::progress::Told;
use super::pull::check_digest;
use super::upload::Blob;

/// The smallest piece that a registry takes, as it says when a session is opened.
const CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The first size of pieces for a registry that finds a whole blob too large, in bytes.
const PIECE: u64 = 8 << 20;
/// The smallest piece that is tried, in bytes.
const SMALLEST_PIECE: u64 = 64 << 10;
/// A break after this many bytes is a new one, not the last one again.
const PROGRESS: u64 = 1 << 20;

/// How the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All in the PUT that ends the session.
    Put,
    /// All in one PATCH.
    Patch,
    /// In PATCHes of so many bytes.
    Pieces(u64),
}

impl Way {
    /// The way to try next, after a refusal with this status. None: the status is not about the way.
    fn instead(self, status: StatusCode) -> Option<Self> {
        match (self, status.as_u16()) {
            (Self::Put, 404 | 405 | 411 | 415 | 501) => Some(Self::Patch),
            (Self::Put | Self::Patch, 413) => Some(Self::Pieces(PIECE)),
            (Self::Patch, 405 | 411 | 415 | 416 | 501) => Some(Self::Pieces(PIECE)),
            (Self::Pieces(size), 413) if size > SMALLEST_PIECE => Some(Self::Pieces(size / 2)),
            _ => None,
        }
    }
}

/// An open upload session.
pub(super) struct Session {
    /// Opaque, and another after each request.
    pub(super) url: Url,
    /// The smallest piece it takes, but for the last one.
    smallest: u64,
}

impl Session {
    /// The session that an answer opens.
    pub(super) fn of(response: &Response) -> Result<Self, ClientError> {
        let smallest = response.headers().get(CHUNK_MIN).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Self { url: follow(response.url(), response.headers())?, smallest: smallest.unwrap_or(0) })
    }
}

/// Sends a blob's bytes and ends the session.
pub(super) async fn fill(
    exchange: &Exchange<'_>,
    blob: &Blob<'_>,
    mut session: Session,
    patience: &mut Patience<'_>,
) -> Result<(), Failure> {
    let (mut there, mut resumed) = (0, false);
    loop {
        let way = exchange.way();
        let sent = match way {
            Way::Put if !resumed => end(exchange, blob, &session, blob.body.clone()).await,
            _ => pieces(exchange, blob, &mut session, &mut there, (way, resumed)).await,
        };
        let Err(failure) = sent else { return Ok(()) };
        if failure.remedy == Remedy::None {
            let another = failure.status().filter(|_| !resumed).and_then(|status| way.instead(status));
            if let Some(another) = another {
                tracing::debug!(?way, ?another, error = %failure.error, "the registry wants it another way");
                exchange.set_way(another);
                // Each way is tried once, so this ends by itself.
                return Err(failure.with(Remedy::Again));
            }
        }
        let ahead = failure.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE);
        if !matches!(failure.remedy, Remedy::Wait(_)) && !ahead {
            let doubtful = resumed && failure.status() == Some(StatusCode::BAD_REQUEST);
            // What was put together from parts may not fit together.
            return Err(if doubtful { failure.with(Remedy::NewSession) } else { failure });
        }
        let failure = if ahead { failure.with(Remedy::Wait(None)) } else { failure };
        if !patience.lasts(&failure).await {
            return Err(failure.with(Remedy::None));
        }
        match position(exchange, &session).await {
            Some((at, url)) if at > 0 && at <= blob.body.length() => {
                tracing::debug!(digest = %blob.digest, at, "going on where the upload broke");
                if at >= there + PROGRESS {
                    patience.renew();
                }
                (there, resumed, session.url) = (at, true, url);
            }
            _ => return Err(failure.with(Remedy::Again)),
        }
    }
}

/// Sends what is not there yet by PATCH, and ends the session. `there` counts what the registry has.
async fn pieces(
    exchange: &Exchange<'_>,
    blob: &Blob<'_>,
    session: &mut Session,
    there: &mut u64,
    (way, resumed): (Way, bool),
) -> Result<(), Failure> {
    let all = blob.body.length();
    while *there < all {
        let length = match way {
            Way::Pieces(size) => (all - *there).min(size.max(session.smallest)),
            Way::Put | Way::Patch => all - *there,
        };
        let mut headers = octets();
        // One piece that is all of it needs no range, and some registries take none then.
        if resumed || length < all {
            let range = HeaderValue::from_str(&format!("{there}-{}", *there + length - 1));
            headers.extend(range.ok().map(|range| (CONTENT_RANGE, range)));
        }
        let body = part(&blob.body, *there, length, blob.told.clone());
        let request = Outgoing { method: Method::PATCH, url: session.url.clone(), headers, body };
        let response = exchange.send_once(&request).await?;
        if !matches!(response.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT | StatusCode::CREATED) {
            return Err(Failure::refused(Method::PATCH, response).await);
        }
        if response.headers().contains_key(LOCATION) {
            session.url = follow(response.url(), response.headers())?;
        }
        let end = *there + length;
        // A registry may take less than it was sent, and says so.
        *there = range_end(response.headers()).filter(|at| *at > *there && *at < end).unwrap_or(end);
    }
    end(exchange, blob, session, Body::Empty).await
}

/// Ends the session, with all of the bytes or after them.
async fn end(exchange: &Exchange<'_>, blob: &Blob<'_>, session: &Session, body: Body) -> Result<(), Failure> {
    let mut url = session.url.clone();
    // The session's URL is opaque: whatever query it has stays as it is.
    url.query_pairs_mut().append_pair("digest", blob.digest.as_str());
    let body = match body {
        Body::Empty => Body::Empty,
        body => part(&body, 0, body.length(), blob.told.clone()),
    };
    let request = Outgoing { method: Method::PUT, url, headers: octets(), body };
    let response = exchange.send_once(&request).await?;
    match response.status() {
        StatusCode::CREATED | StatusCode::NO_CONTENT => {
            Ok(check_digest(&response, blob.digest.as_str(), blob.digest)?)
        }
        _ => Err(Failure::refused(Method::PUT, response).await),
    }
}

/// How many bytes the registry has, and where to go on. None: it does not say, or has none.
async fn position(exchange: &Exchange<'_>, session: &Session) -> Option<(u64, Url)> {
    let response = exchange.send_once(&Outgoing::new(Method::GET, session.url.clone())).await.ok()?;
    if !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::ACCEPTED | StatusCode::OK) {
        return None;
    }
    let at = range_end(response.headers())?;
    let url = match response.headers().contains_key(LOCATION) {
        true => follow(response.url(), response.headers()).ok()?,
        false => session.url.clone(),
    };
    Some((at, url))
}

/// The bytes that a `Range: 0-<last>` counts. Some registries say `0-0` for none, so that is none.
fn range_end(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RANGE)?.to_str().ok()?;
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    let last: u64 = text.strip_prefix("0-")?.parse().ok()?;
    Some(last).filter(|last| *last > 0)?.checked_add(1)
}

fn part(of: &Body, from: u64, length: u64, told: Option<Told>) -> Body {
    Body::Part(Box::new(Part { of: of.clone(), from, length, told }))
}

fn octets() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_sessions() {
        let of =
            |text: &'static str| range_end(&HeaderMap::from_iter([(RANGE, HeaderValue::from_static(text))]));
        assert_eq!((of("0-9"), of("bytes=0-9")), (Some(10), Some(10)));
        for none in ["0-0", "5-9", "0-", "0--1", "x", "0-18446744073709551615"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn every_way_ends() {
        for status in [404, 405, 411, 413, 415, 416, 501] {
            let status = StatusCode::from_u16(status).unwrap();
            let mut ways = vec![Way::Put];
            while let Some(next) = ways[ways.len() - 1].instead(status) {
                ways.push(next);
                assert!(ways.len() < 12, "{ways:?}");
            }
        }
    }
}
