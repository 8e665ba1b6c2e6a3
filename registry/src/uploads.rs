//! Uploads: in one POST, in a POST and a PUT, or in chunks; and mounts from another repository.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, LOCATION, RANGE};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::StreamExt as _;
use oci::Digest;
use oci::reference::is_repository;
use uuid::Uuid;

use crate::Registry;
use crate::authorize::Action;
use crate::error::Refusal;
use crate::range::chunk;
use crate::route::{Answer, CONTENT_DIGEST, parse_digest};
use crate::store::{AppendError, Busy, Taken, Upload, blocking};

/// For how long the body of a refused upload is read.
const REFUSED: Duration = Duration::from_secs(10);
/// Repeats the session's id, for clients that look for it.
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST /v2/<name>/blobs/uploads/`: mounts (`?mount=&from=`), uploads at once (`?digest=`), or opens a
/// session.
pub(crate) async fn start(registry: &Registry, name: &str, request: Request<Body>) -> Answer {
    let query = query(&request);
    if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) {
        let digest = parse_digest(digest)?;
        if mount(registry, name, &digest, from, request.headers()).await? {
            return Ok(created(name, &digest));
        }
    } else if let Some(digest) = query.get("digest") {
        let digest = parse_digest(digest)?;
        let id = open(registry, name).await?;
        return receive(registry, name, id, request, Some(digest)).await;
    }
    let id = open(registry, name).await?;
    Ok(session(StatusCode::ACCEPTED, name, id, 0))
}

/// `GET /v2/<name>/blobs/uploads/<id>`: how far an upload is.
pub(crate) fn status(registry: &Registry, name: &str, id: Uuid) -> Answer {
    match registry.sessions.received(name, id) {
        None => Err(Refusal::upload_unknown()),
        Some(Err(Busy)) => Err(Refusal::upload_busy()),
        Some(Ok(received)) => Ok(session(StatusCode::NO_CONTENT, name, id, received)),
    }
}

/// `PATCH /v2/<name>/blobs/uploads/<id>`: the next chunk.
pub(crate) async fn append(registry: &Registry, name: &str, id: Uuid, request: Request<Body>) -> Answer {
    receive(registry, name, id, request, None).await
}

/// `PUT /v2/<name>/blobs/uploads/<id>?digest=`: the last chunk, which may be the whole blob or empty.
pub(crate) async fn finish(registry: &Registry, name: &str, id: Uuid, request: Request<Body>) -> Answer {
    let query = query(&request);
    let digest = query.get("digest").ok_or_else(|| Refusal::digest_invalid("the query names no digest"))?;
    let digest = parse_digest(digest)?;
    receive(registry, name, id, request, Some(digest)).await
}

/// `DELETE /v2/<name>/blobs/uploads/<id>`.
pub(crate) fn cancel(registry: &Registry, name: &str, id: Uuid) -> Answer {
    match registry.sessions.cancel(name, id) {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        false => Err(Refusal::upload_unknown()),
    }
}

/// Links a blob of another repository, or finds that it is in this one. Whatever stands against it (no
/// rights there, no such blob) makes it an ordinary upload, and does not tell which it was.
async fn mount(
    registry: &Registry,
    name: &str,
    digest: &Digest,
    from: &str,
    headers: &HeaderMap,
) -> Result<bool, Refusal> {
    if !is_repository(from) || registry.check(headers, from, Action::Pull).await.is_err() {
        return Ok(false);
    }
    let (registry, digest) = (registry.clone(), digest.clone());
    let (name, from) = (name.to_owned(), from.to_owned());
    let mounted = blocking(move || {
        let Some((_, bytes)) = registry.store.open_linked(&from, &digest)? else { return Ok(Ok(false)) };
        if from == name {
            return Ok(Ok(true));
        }
        let link = || registry.store.link(&name, &digest);
        registry.within_quota(&name, &digest, bytes, link).map(|linked| linked.map(|()| true))
    });
    mounted.await?
}

async fn open(registry: &Registry, name: &str) -> Result<Uuid, Refusal> {
    let (sessions, name) = (registry.sessions.clone(), name.to_owned());
    let opened = blocking(move || sessions.open(&name)).await?;
    opened.ok_or_else(|| Refusal::too_many("too many uploads are under way"))
}

/// Takes a request's body into an upload, and ends the upload when its digest is given. In a task of its own: a
/// client that goes away cancels its request, and what it has sent is kept for its return.
async fn receive(
    registry: &Registry,
    name: &str,
    id: Uuid,
    request: Request<Body>,
    digest: Option<Digest>,
) -> Answer {
    let (registry, name) = (registry.clone(), name.to_owned());
    let received = tokio::spawn(async move { take_in(&registry, &name, id, request, digest).await });
    received.await.map_err(std::io::Error::other)?
}

async fn take_in(
    registry: &Registry,
    name: &str,
    id: Uuid,
    request: Request<Body>,
    digest: Option<Digest>,
) -> Answer {
    let mut taken = match registry.sessions.take(name, id) {
        None => return Err(Refusal::upload_unknown()),
        Some(Err(Busy)) => return Err(Refusal::upload_busy()),
        Some(Ok(taken)) => taken,
    };
    let room = match in_order(request.headers(), name, id, taken.upload()) {
        Ok(()) => room(registry, name, digest.as_ref(), taken.upload(), request.headers()).await,
        Err(refusal) => Err(refusal),
    };
    let room = match room {
        Ok(room) => room,
        Err(refusal) => {
            taken.put_back();
            read_away(request.into_body()).await;
            return Err(refusal);
        }
    };
    let body = request.into_body().into_data_stream();
    match taken.upload().append(body, registry.limits.blob.min(room)).await {
        Ok(()) => {}
        Err(AppendError::Body(reason)) => {
            taken.put_back();
            return Err(Refusal::upload_cut_short(reason));
        }
        Err(AppendError::TooLarge) => {
            let came = taken.end().received();
            return Err(match room < registry.limits.blob {
                true => registry.over_quota(name, room, came + 1),
                false => Refusal::too_large("the blob", registry.limits.blob),
            });
        }
        Err(AppendError::Store(error)) => {
            drop(taken.end());
            return Err(error.into());
        }
    }
    match digest {
        Some(digest) => commit(registry, name, taken, &digest).await,
        None => {
            let received = taken.upload().received();
            taken.put_back();
            Ok(session(StatusCode::ACCEPTED, name, id, received))
        }
    }
}

/// Reads a body that is refused: a client that still writes when its connection ends may never see why.
async fn read_away(body: Body) {
    let mut stream = body.into_data_stream();
    let read = async { while let Some(Ok(_)) = stream.next().await {} };
    // Whoever takes longer has to do without.
    let _ = tokio::time::timeout(REFUSED, read).await;
}

/// How long the upload may become for its namespace; asked at its first request, and refused when the request says
/// that it brings more.
async fn room(
    registry: &Registry,
    name: &str,
    digest: Option<&Digest>,
    upload: &mut Upload,
    headers: &HeaderMap,
) -> Result<u64, Refusal> {
    let room = match upload.room {
        Some(room) => room,
        None => registry.room(name, digest).await?,
    };
    upload.room = Some(room);
    let bytes = upload.received().saturating_add(length(headers).unwrap_or(0));
    if bytes > room { Err(registry.over_quota(name, room, bytes)) } else { Ok(room) }
}

async fn commit(registry: &Registry, name: &str, taken: Taken<'_>, digest: &Digest) -> Answer {
    let mut upload = taken.end();
    let found = upload.digest(digest).await?;
    if found != *digest {
        return Err(Refusal::digest_mismatch(digest, &found));
    }
    let (of, repository) = (registry.clone(), name.to_owned());
    let adopted = blocking(move || {
        let bytes = upload.received();
        of.within_quota(&repository, &found, bytes, || upload.adopt(&of.store, &repository, &found))
    });
    adopted.await??;
    Ok(created(name, digest))
}

/// Whether a chunk with a `Content-Range` is the next one and has the length it says.
fn in_order(headers: &HeaderMap, name: &str, id: Uuid, upload: &Upload) -> Result<(), Refusal> {
    let Some(range) = headers.get(CONTENT_RANGE) else { return Ok(()) };
    let range = range.to_str().ok().and_then(chunk);
    let (start, end) = range.ok_or_else(|| Refusal::size_invalid("Content-Range is not <start>-<end>"))?;
    let received = upload.received();
    if start != received {
        let message = format!("the next byte is {received}, the chunk begins at {start}");
        return Err(Refusal::range_not_satisfiable("BLOB_UPLOAD_INVALID", message)
            .with(LOCATION, &location(name, id))
            .with(RANGE, &so_far(received)));
    }
    match length(headers) {
        Some(length) if length != end - start + 1 => Err(Refusal::size_invalid(format!(
            "Content-Range {start}-{end} and Content-Length {length} differ"
        ))),
        _ => Ok(()),
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn query(request: &Request<Body>) -> HashMap<String, String> {
    // A query that is none is like no query: what it should have named is then missing.
    Query::try_from_uri(request.uri()).map(|Query(query)| query).unwrap_or_default()
}

fn location(name: &str, id: Uuid) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// The bytes so far as a range; the specification has no form for none, and registries say `0-0`.
fn so_far(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}

fn session(status: StatusCode, name: &str, id: Uuid, received: u64) -> Response<Body> {
    let headers = [(LOCATION, location(name, id)), (RANGE, so_far(received)), (UPLOAD_ID, id.to_string())];
    (status, headers).into_response()
}

fn created(name: &str, digest: &Digest) -> Response<Body> {
    let headers = [(LOCATION, format!("/v2/{name}/blobs/{digest}")), (CONTENT_DIGEST, digest.to_string())];
    (StatusCode::CREATED, headers).into_response()
}
