//! One blob into a repository, in as few requests as the registry allows.
//!
//! `POST uploads/?mount=<digest>&from=<repository>` answers 201 when the blob could be linked, and else 202
//! with an upload session, so asking costs nothing: it is the first request of the upload anyway. For a base
//! layer `from` is the base's repository; for any other blob it is the target itself, which asks "do you have
//! this already?". Registries without mounts answer 202 to both.

use std::time::SystemTime;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::Client;
use super::body::Body;
use super::error::ClientError;
use super::exchange::{Exchange, Outgoing, expect};
use super::location::follow;
use super::retry::retry_after;
use crate::digest::Digest;

/// From this size on a blob is looked for with HEAD before its bytes are sent to a registry that did not
/// mount it: a round trip is then cheap beside the upload. In bytes.
const WORTH_ASKING: u64 = 1 << 20;

/// A blob that the repository shall have.
pub(super) struct Blob<'a> {
    pub(super) digest: &'a Digest,
    pub(super) body: Body,
    /// The repository to mount from.
    pub(super) mount_from: Option<&'a str>,
    /// Whether the repository may have it already; false when it is known to be new.
    pub(super) may_exist: bool,
}

/// How the blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Linked from another repository.
    Mounted,
    /// It was there.
    Present,
    /// Its bytes were sent.
    Uploaded,
}

/// Brings one blob into the repository. A failed attempt starts over with a new upload session, since what
/// became of the old one's bytes is unknown.
pub(super) async fn bring(
    client: &Client,
    exchange: &Exchange<'_>,
    blob: &Blob<'_>,
) -> Result<Arrival, ClientError> {
    let mut attempt = 1;
    loop {
        let (error, asked) = match bring_once(exchange, blob, attempt > 1).await {
            Ok(arrival) => return Ok(arrival),
            Err(Failure { error, asked }) => (error, asked),
        };
        let delay = client.options.retry.delay(attempt, asked).filter(|_| error.is_transient());
        let Some(delay) = delay else { return Err(error) };
        tracing::debug!(digest = %blob.digest, attempt, ?delay, %error, "upload failed, trying again");
        tokio::time::sleep(delay).await;
        attempt += 1;
    }
}

/// An attempt's failure, and the wait the registry asks for.
struct Failure {
    error: ClientError,
    asked: Option<std::time::Duration>,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self { error, asked: None }
    }
}

async fn bring_once(exchange: &Exchange<'_>, blob: &Blob<'_>, again: bool) -> Result<Arrival, Failure> {
    let session = match begin(exchange, blob).await? {
        Begun::There(arrival) => return Ok(arrival),
        Begun::Session(session) => session,
    };
    // After a lost answer the blob may be there although the first attempt seemed to fail.
    let ask = again || (blob.may_exist && blob.body.length() >= WORTH_ASKING);
    if ask && exists(exchange, blob.digest).await? {
        // The session is not needed: say so, and let it expire if that fails.
        let _ = exchange.send_once(&Outgoing::new(Method::DELETE, session)).await;
        return Ok(Arrival::Present);
    }
    finish(exchange, blob, session).await?;
    Ok(Arrival::Uploaded)
}

enum Begun {
    There(Arrival),
    Session(Url),
}

/// Opens an upload session, or finds that none is needed.
async fn begin(exchange: &Exchange<'_>, blob: &Blob<'_>) -> Result<Begun, Failure> {
    let own = exchange.repository();
    if let Some(from) = blob.mount_from.filter(|&from| from != own).or(blob.may_exist.then_some(own)) {
        let mut url = exchange.url("blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", blob.digest.as_str()).append_pair("from", from);
        let response = exchange.send_once(&Outgoing::new(Method::POST, url)).await?;
        match response.status() {
            StatusCode::CREATED => {
                return Ok(Begun::There(if from == own { Arrival::Present } else { Arrival::Mounted }));
            }
            StatusCode::ACCEPTED => return Ok(Begun::Session(session(&response)?)),
            // The source may not be read, does not exist, or mounts are not known here: upload the bytes.
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                tracing::debug!(digest = %blob.digest, from, %status, "not mounted, uploading instead");
            }
            _ => return Err(refused(Method::POST, response).await),
        }
    }
    let response = exchange.send_once(&Outgoing::new(Method::POST, exchange.url("blobs/uploads/"))).await?;
    match response.status() {
        StatusCode::ACCEPTED => Ok(Begun::Session(session(&response)?)),
        _ => Err(refused(Method::POST, response).await),
    }
}

/// Sends the bytes and ends the session, in one PUT.
async fn finish(exchange: &Exchange<'_>, blob: &Blob<'_>, mut session: Url) -> Result<(), Failure> {
    // The session's URL is opaque: whatever query it has stays as it is.
    session.query_pairs_mut().append_pair("digest", blob.digest.as_str());
    let request = Outgoing {
        method: Method::PUT,
        url: session,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))]),
        body: blob.body.clone(),
    };
    let response = exchange.send_once(&request).await?;
    match response.status() {
        StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
        // Some registries lose sessions on restart; a new one is a new attempt.
        _ => Err(refused(Method::PUT, response).await),
    }
}

async fn exists(exchange: &Exchange<'_>, digest: &Digest) -> Result<bool, ClientError> {
    let request = Outgoing::new(Method::HEAD, exchange.url(&format!("blobs/{digest}")));
    let response = exchange.send(&request).await?;
    match response.status() {
        StatusCode::NOT_FOUND => Ok(false),
        _ => expect(response, &Method::HEAD, &[StatusCode::OK]).await.map(|_| true),
    }
}

fn session(response: &Response) -> Result<Url, ClientError> {
    follow(response.url(), response.headers())
}

async fn refused(method: Method, response: Response) -> Failure {
    let asked = retry_after(response.headers(), SystemTime::now());
    Failure { error: ClientError::refusal(&method, response).await, asked }
}
