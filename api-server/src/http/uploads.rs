//! `upload-url`, `download-url`, and the presigned URLs themselves. Those carry no key: the signature is the right.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use contract::api::{ApiError, ArgumentReason, PermissionDetail, PresignedUrl};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::io::ReaderStream;

use super::{
    HttpError,
    auth::{Caller, Id},
    operation::Parameter,
    origin::Origin,
    page::Pairs,
};
use crate::{
    AppState,
    archives::{self, ArchivePlace, Method, PresignError, Presigned, ReceiveError},
    store::{Application, Code, FunctionRow, Kind, StoreError, now_ms},
};

/// Answer of a `PUT`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Taken {}

const TYPE: &str = "application/octet-stream";

/// Keys of the query of `upload-url`; `most` bytes are allowed.
pub(super) fn parameters(most: u64) -> Vec<Parameter> {
    vec![Parameter::number("content_length", "Exact size of the zip, in bytes.", Some(most), None).required()]
}

/// Keys of the query of a presigned URL.
pub(super) fn presigned_parameters() -> Vec<Parameter> {
    let part = |name| Parameter::text(name, "As the presigned URL has it.").required();
    archives::QUERY.map(part).into()
}

pub(super) async fn upload_url(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    query: Pairs,
    origin: Origin,
) -> Result<Json<PresignedUrl>, HttpError> {
    let most = state.config.archive_limits.archive_bytes;
    // The function first: to strangers it does not exist, whatever else they ask.
    state.store.get::<FunctionRow>(&caller.tenant, &id).await?;
    let Some(text) = query.get("content_length") else {
        let help = "the exact size of the zip in bytes is required";
        return Err(HttpError(ApiError::argument("content_length", ArgumentReason::Required, help)));
    };
    let bytes = text.parse::<u64>().ok().filter(|bytes| (1..=most).contains(bytes)).ok_or_else(|| {
        HttpError::constraint("content_length", format!("must be a number of bytes, 1 to {most}"))
    })?;
    let expires = expiry(&state);
    let upload = state.store.create_upload(&caller.tenant, &id, bytes, expires * 1000).await?;
    if let ArchivePlace::Bucket(bucket) = state.archives.place() {
        let url = bucket.put_url(&id, &upload.id, bytes, state.config.presigned_life);
        return Ok(Json(PresignedUrl { url, headers: headers(bytes) }));
    }
    let what = Presigned { method: Method::Put, key: upload.id, function_id: id, bytes, expires };
    Ok(Json(answer(&state, &origin, &what)))
}

pub(super) async fn download_url(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    origin: Origin,
) -> Result<Json<PresignedUrl>, HttpError> {
    settle_uploads::<Code>(&state, &caller, &id).await?;
    let function = state.store.get::<FunctionRow>(&caller.tenant, &id).await?;
    let archive = function.archive.ok_or(StoreError::NothingUploaded(id.clone()))?;
    if let ArchivePlace::Bucket(bucket) = state.archives.place() {
        let url = bucket.get_url(&archive.key, state.config.presigned_life);
        return Ok(Json(PresignedUrl { url, headers: BTreeMap::new() }));
    }
    let expires = expiry(&state);
    let what =
        Presigned { method: Method::Get, key: archive.key, function_id: id, bytes: archive.bytes, expires };
    Ok(Json(answer(&state, &origin, &what)))
}

/// Takes an archive. Everything that can be refused is refused before the body is read, so a client that waits for
/// `100 Continue` never sends it.
pub(super) async fn put(
    State(state): State<AppState>,
    Path(key): Path<String>,
    query: Pairs,
    request: Request,
) -> Result<Json<Taken>, HttpError> {
    let what = checked(&state, Method::Put, &key, &query)?;
    let announced = request.headers().get(CONTENT_LENGTH);
    if let Some(length) = announced
        && length.to_str().ok().and_then(|text| text.parse().ok()) != Some(what.bytes)
    {
        let help = format!("the URL is good for exactly {} bytes", what.bytes);
        return Err(HttpError::constraint("content_length", help));
    }
    let upload = state.store.upload(&key).await?;
    // Its URL is of a time in which archives were files.
    let disk = state.archives.disk().ok_or_else(|| ApiError::not_found("upload", &key))?;
    let body = request.into_body().into_data_stream();
    let received = disk.receive(what.bytes, body).await;
    let part = received.map_err(|error| match error {
        ReceiveError::Io(_) => HttpError::internal(&error),
        _ => HttpError::constraint("content_length", error.to_string()),
    })?;
    let placing = state.archives.placing().await;
    let archive = part.place().await.map_err(|error| HttpError::internal(&error))?;
    let completed = state.store.complete_upload(&upload, &archive, &[]).await;
    drop(placing);
    // One whose writing broke off may be the function's: then it is for the collector to see.
    if !matches!(completed, Ok(()) | Err(StoreError::Unavailable(_))) {
        state.archives.remove(&archive.key).await;
    }
    completed?;
    Ok(Json(Taken {}))
}

pub(super) async fn get(
    State(state): State<AppState>,
    Path(key): Path<String>,
    query: Pairs,
) -> Result<Response, HttpError> {
    let what = checked(&state, Method::Get, &key, &query)?;
    let gone = || HttpError(ApiError::not_found("archive", &key));
    let path = state.archives.disk().ok_or_else(gone)?.path(&what.key);
    let file = tokio::fs::File::open(path).await.map_err(|_| gone())?;
    let headers = [(CONTENT_LENGTH, what.bytes.to_string()), (CONTENT_TYPE, TYPE.to_owned())];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

fn checked(state: &AppState, method: Method, key: &str, query: &Pairs) -> Result<Presigned, HttpError> {
    state.presigner.check(method, key, &query.0, now_ms() / 1000).map_err(|error: PresignError| {
        let action = match method {
            Method::Put => "upload",
            Method::Get => "download",
        };
        HttpError(ApiError::PermissionsDenied {
            message: error.to_string(),
            details: vec![PermissionDetail { resource: "archive".into(), action: action.into() }],
        })
    })
}

fn expiry(state: &AppState) -> i64 {
    let life = i64::try_from(state.config.presigned_life.as_secs()).unwrap_or(i64::MAX);
    (now_ms() / 1000).saturating_add(life)
}

fn answer(state: &AppState, origin: &Origin, what: &Presigned) -> PresignedUrl {
    PresignedUrl { url: origin.url(&state.presigner.path_and_query(what)), headers: headers(what.bytes) }
}

fn headers(bytes: u64) -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([
        ("content-length".to_owned(), vec![bytes.to_string()]),
        ("content-type".to_owned(), vec![TYPE.to_owned()]),
    ])
}

/// Where uploads end past this server: makes the one that ended last a function's archive, before anything asks for it.
/// To strangers the function does not exist.
pub(super) async fn settle_uploads<K: Kind>(
    state: &AppState,
    caller: &Caller,
    id: &str,
) -> Result<(), HttpError> {
    if K::NAME == Code::NAME && state.archives.is_settled_later() {
        state.store.get::<Application<K>>(&caller.tenant, id).await?;
        state.archives.settle(&state.store, id).await?;
    }
    Ok(())
}
