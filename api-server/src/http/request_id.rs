//! The frame around each request. It runs in a task of its own, so a caller that goes away does not stop a write
//! between its commit and what must follow; a panic is answered 500. Every answer carries `X-Request-Id`: the
//! caller's when it is well-formed, else our own. Log lines carry it too.

use std::time::{Duration, Instant};

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use contract::event::{X_REQUEST_ID, is_request_id};
use http::HeaderValue;
use tracing::Instrument as _;

use super::HttpError;

pub(super) async fn layer(request: Request, next: Next) -> Response {
    let given = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let id = given.filter(|id| is_request_id(id)).map_or_else(crate::store::new_id, str::to_owned);
    // The path alone: a query may hold a presigned signature.
    let span = tracing::info_span!("request", request.id = %id, method = %request.method(), path = %request.uri().path());
    let (since, reads) = (Instant::now(), request.method().is_safe());
    let ran = tokio::spawn(next.run(request).instrument(span.clone())).await;
    let mut response = ran.unwrap_or_else(|error| HttpError::internal(&error).into_response());
    let (status, duration_ms) = (response.status().as_u16(), millis(since.elapsed()));
    span.in_scope(|| match status {
        // What reads and goes well is most of all that happens, and of no interest to most.
        ..400 if reads => tracing::debug!(status, duration_ms, "answered"),
        _ => tracing::info!(status, duration_ms, "answered"),
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
