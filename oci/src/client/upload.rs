//! One blob into a repository, in as few requests as the registry allows.
//!
//! `POST uploads/?mount=<digest>&from=<repository>` answers 201 when the blob could be linked, and else 202
//! with an upload session, so asking costs nothing: it is the first request of the upload anyway. For a base
//! layer `from` is the base's repository; for any other blob it is the target itself, which asks "do you have
//! this already?". Registries without mounts answer 202 to both.

use reqwest::{Method, StatusCode};

use super::Client;
use super::body::Body;
use super::error::ClientError;
use super::exchange::{Exchange, Outgoing, expect};
use super::patience::{Failure, Patience};
use super::progress::{Arrival, Told};
use super::pull::check_digest;
use super::session::{Session, fill};
use super::sources::Source;
use crate::digest::Digest;

/// From this size on a blob is looked for with HEAD before its bytes are sent to a registry that is not known to
/// mount: a round trip is then cheap beside the upload. In bytes.
const WORTH_ASKING: u64 = 1 << 20;

/// A blob that the repository shall have.
pub(super) struct Blob<'a> {
    pub(super) digest: &'a Digest,
    pub(super) body: Body,
    /// The repository to mount from.
    pub(super) mount_from: Option<&'a str>,
    /// Whether the repository may have it already; false when it is known to be new.
    pub(super) may_exist: bool,
    /// Who hears how it goes on.
    pub(super) told: Option<Told>,
}

/// Brings one blob into the repository, through any failure that may pass.
pub(super) async fn bring(
    client: &Client,
    exchange: &Exchange<'_>,
    blob: &Blob<'_>,
) -> Result<Arrival, ClientError> {
    let mut patience = Patience::new(&client.options.retry);
    let mut again = false;
    loop {
        let failure = match bring_once(exchange, blob, again, &mut patience).await {
            Ok(arrival) => {
                if let Some(told) = &blob.told {
                    told.progress.arrived(blob.digest, blob.body.length(), arrival);
                }
                return Ok(arrival);
            }
            Err(failure) => failure,
        };
        if !patience.lasts(&failure).await {
            return Err(failure.error);
        }
        again = true;
    }
}

async fn bring_once(
    exchange: &Exchange<'_>,
    blob: &Blob<'_>,
    again: bool,
    patience: &mut Patience<'_>,
) -> Result<Arrival, Failure> {
    let session = match begin(exchange, blob).await? {
        Begun::There(arrival) => return Ok(arrival),
        Begun::Session(session) => session,
    };
    // Who mounts would have found it in the repository itself. After a lost answer the blob may be there although
    // the attempt seemed to fail.
    let worth_asking = blob.may_exist && blob.body.length() >= WORTH_ASKING;
    let unsure = worth_asking && !exchange.sources().mounts().await;
    if (again || unsure) && exists(exchange, blob.digest).await? {
        // The session is not needed: say so, and let it expire if that fails.
        let _ = exchange.send_once(&Outgoing::new(Method::DELETE, session.url)).await;
        return Ok(Arrival::Present);
    }
    fill(exchange, blob, session, patience).await?;
    Ok(Arrival::Uploaded)
}

enum Begun {
    There(Arrival),
    Session(Session),
}

/// Opens an upload session, or finds that none is needed.
async fn begin(exchange: &Exchange<'_>, blob: &Blob<'_>) -> Result<Begun, Failure> {
    let own = exchange.repository();
    let source = match blob.mount_from.filter(|&from| from != own) {
        Some(from) => exchange.sources().open(from).await,
        None => None,
    };
    if let Some(from) = source.as_ref().map(Source::name).or(blob.may_exist.then_some(own)) {
        let mut url = exchange.url("blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", blob.digest.as_str()).append_pair("from", from);
        let response = exchange.send_once(&Outgoing::new(Method::POST, url)).await?;
        let status = response.status();
        if status == StatusCode::CREATED {
            exchange.sources().mounted();
        }
        source.iter().for_each(|source| source.answered(status));
        match status {
            StatusCode::CREATED => {
                check_digest(&response, blob.digest.as_str(), blob.digest)?;
                return Ok(Begun::There(if from == own { Arrival::Present } else { Arrival::Mounted }));
            }
            StatusCode::ACCEPTED => return Ok(Begun::Session(Session::of(&response)?)),
            // The source may not be read, does not exist, or mounts are not known here: upload the bytes.
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                tracing::debug!(digest = %blob.digest, from, %status, "not mounted, uploading instead");
            }
            _ => return Err(Failure::refused(Method::POST, response).await),
        }
    }
    let response = exchange.send_once(&Outgoing::new(Method::POST, exchange.url("blobs/uploads/"))).await?;
    match response.status() {
        StatusCode::ACCEPTED => Ok(Begun::Session(Session::of(&response)?)),
        _ => Err(Failure::refused(Method::POST, response).await),
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
