//! Blobs: downloads with ranges, existence, and taking one out of a repository.

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::response::IntoResponse;
use oci::Digest;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::Registry;
use crate::error::Refusal;
use crate::range::{Wanted, wanted};
use crate::route::{Answer, CONTENT_DIGEST};
use crate::store::blocking;

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// `GET` and `HEAD /v2/<name>/blobs/<digest>`.
pub(crate) async fn get(
    registry: &Registry,
    name: &str,
    digest: Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Answer {
    let (store, repository, wanted_digest) = (registry.store.clone(), name.to_owned(), digest.clone());
    let opened = blocking(move || store.open_linked(&repository, &wanted_digest)).await?;
    let Some((file, size)) = opened else { return Err(Refusal::blob_unknown(&digest)) };
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let (status, start, length) = match wanted(range, size) {
        Wanted::All => (StatusCode::OK, 0, size),
        Wanted::Part { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Wanted::Unsatisfiable => {
            let refusal =
                Refusal::range_not_satisfiable("BLOB_UNKNOWN", format!("the blob has {size} bytes"));
            return Err(refusal.with(CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let mut answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, length)
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_DIGEST, digest.as_str());
    if status == StatusCode::PARTIAL_CONTENT {
        answer = answer.header(CONTENT_RANGE, format!("bytes {start}-{}/{size}", start + length - 1));
    }
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => {
            let mut file = tokio::fs::File::from_std(file);
            file.seek(std::io::SeekFrom::Start(start)).await?;
            Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK))
        }
    };
    answer.body(body).map_err(|error| Refusal::store(&std::io::Error::other(error)))
}

/// `DELETE /v2/<name>/blobs/<digest>`: out of this repository; the content stays for the others.
pub(crate) async fn delete(registry: &Registry, name: &str, digest: Digest) -> Answer {
    let (store, repository, gone) = (registry.store.clone(), name.to_owned(), digest.clone());
    match blocking(move || store.unlink(&repository, &gone)).await? {
        true => Ok(StatusCode::ACCEPTED.into_response()),
        false => Err(Refusal::blob_unknown(&digest)),
    }
}
