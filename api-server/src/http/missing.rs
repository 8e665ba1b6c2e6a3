//! Answers for what is not there.

use axum::extract::Request;
use contract::api::ApiError;

use super::HttpError;

/// No such path.
pub(super) async fn not_found(request: Request) -> HttpError {
    let path = request.uri().path();
    HttpError(ApiError::NotFound {
        message: format!("path {path} was not found; GET /docs shows those that there are"),
        resource: "path".to_owned(),
        resource_id: path.to_owned(),
    })
}

/// A path with another method.
pub(super) async fn method_not_allowed(request: Request) -> HttpError {
    let message = format!("{} is not a method of {}", request.method(), request.uri().path());
    HttpError(ApiError::MethodNotAllowed { message })
}
