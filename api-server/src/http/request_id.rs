//! Every answer carries `X-Request-Id`: the caller's when it is well-formed, else our own. Log lines carry it too.

use axum::{extract::Request, middleware::Next, response::Response};
use contract::event::{X_REQUEST_ID, is_request_id};
use http::HeaderValue;
use tracing::Instrument as _;

pub(super) async fn layer(request: Request, next: Next) -> Response {
    let given = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let id = given.filter(|id| is_request_id(id)).map_or_else(crate::store::new_id, str::to_owned);
    // The path alone: a query may hold a presigned signature.
    let span = tracing::info_span!("request", request.id = %id, method = %request.method(), path = %request.uri().path());
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}
