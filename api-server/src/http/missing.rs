//! Answers for what is not there.

use axum::extract::Request;
use contract::api::ApiError;

use super::HttpError;

/// No such path.
pub(super) async fn not_found(request: Request) -> HttpError {
    HttpError(ApiError::not_found("path", request.uri().path()))
}

/// A path with another method.
pub(super) async fn method_not_allowed(request: Request) -> HttpError {
    let message = format!("{} is not a method of {}", request.method(), request.uri().path());
    HttpError(ApiError::MethodNotAllowed { message })
}
