//! What went wrong, as the caller sees it.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use contract::api::{ApiError, ArgumentReason, QuotaDetail};
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{archives::SettleError, rate::TooMany, store::StoreError};

/// An error on its way to the caller.
#[derive(Debug)]
pub struct HttpError(pub ApiError);

impl HttpError {
    /// Our fault: the cause goes to the log, here and only here.
    pub(super) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self(ApiError::Internal {
            message: "the server could not do this; its log has the cause under this answer's X-Request-Id"
                .into(),
        })
    }

    /// The database is away for a while: the cause goes to the log.
    fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        let message = "the server's database does not answer now; try again in a few seconds".into();
        Self(ApiError::Unavailable { message })
    }

    /// More requests than there may be; `whose` says of whom.
    pub(super) fn too_many(TooMany { wait }: TooMany, whose: &str) -> Self {
        let retry_after = TooMany { wait }.seconds();
        let message = format!("too many requests {whose}; try again in {retry_after} s");
        Self(ApiError::TooManyRequests { message, retry_after })
    }

    /// One argument outside what is allowed.
    pub(super) fn constraint(name: &str, help: impl Into<String>) -> Self {
        Self(ApiError::argument(name, ArgumentReason::Constraint, help))
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = match &self.0 {
            ApiError::TooManyRequests { retry_after, .. } => Some(HeaderValue::from(*retry_after)),
            _ => None,
        };
        let mut response = (status, Json(self.0)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<SettleError> for HttpError {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Store(error) => error.into(),
            // Whatever it is, the caller can do nothing else about it, and a deploy of an older archive would be wrong.
            SettleError::Bucket(error) => {
                tracing::error!(cause = %error, "a request failed");
                let message =
                    format!("what was uploaded last cannot be found out now, try again later: {error}");
                Self(ApiError::Unavailable { message })
            }
        }
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        Self(match error {
            StoreError::Missing { resource, id } => ApiError::not_found(resource, &id),
            StoreError::Duplicate { .. } => {
                ApiError::argument("name", ArgumentReason::Constraint, format!("already exists: {message}"))
            }
            StoreError::Transient { resource, id, state } => ApiError::TransientState {
                message,
                resource: resource.to_owned(),
                resource_id: id,
                current_state: state,
            },
            StoreError::Quota { resource, quota, current } => ApiError::QuotasExceeded {
                message,
                details: vec![QuotaDetail { resource: resource.to_owned(), quota, current }],
            },
            StoreError::Locked { .. } => ApiError::Locked { message },
            StoreError::NothingUploaded(id) => ApiError::PreconditionFailed {
                message: format!(
                    "nothing was uploaded for function {id}: ask for functions/{id}/upload-url?content_length=<bytes of the zip>, PUT the zip to the url it answers, then deploy"
                ),
            },
            StoreError::Unavailable(_) => return Self::unavailable(&message),
            other => return Self::internal(&other),
        })
    }
}
