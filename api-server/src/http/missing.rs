//! Answers for what is not there.

use axum::extract::Request;
use contract::api::ApiError;

use super::{HttpError, auth::Caller};

/// An operation of the document that this server does not have yet.
pub(super) async fn not_implemented(_caller: Caller, request: Request) -> HttpError {
    let message =
        format!("{} {} is not implemented by this server yet", request.method(), request.uri().path());
    HttpError(ApiError::NotImplemented { message })
}

/// No such path.
pub(super) async fn not_found(request: Request) -> HttpError {
    HttpError(ApiError::not_found("path", request.uri().path()))
}

/// A path with another method.
pub(super) async fn method_not_allowed(request: Request) -> HttpError {
    let message = format!("{} is not a method of {}", request.method(), request.uri().path());
    HttpError(ApiError::MethodNotAllowed { message })
}
