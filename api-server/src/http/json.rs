//! Bodies: a JSON object, whatever the Content-Type says (curl's `-d` says that it is a form).

use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use contract::api::{ApiError, ArgumentReason};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::{HttpError, arguments::Arguments};
use crate::AppState;

/// The arguments of a body that is described by `T`. Nothing and `null` are the empty object.
pub(super) struct Body<T> {
    pub(super) arguments: Arguments,
    describes: PhantomData<T>,
}

impl<T> Body<T> {
    fn new(members: Map<String, Value>) -> Self {
        Self { arguments: Arguments::new(members), describes: PhantomData }
    }
}

impl<T> FromRequest<AppState> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, HttpError> {
        let limit = state.config.limits.body_bytes;
        let bytes = Limited::new(request.into_body(), limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError(ApiError::PayloadTooLarge { message: format!("the body is over {limit} bytes") })
            } else {
                HttpError::constraint("body", "it broke off")
            }
        })?;
        let bytes = bytes.to_bytes();
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::new(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => Ok(Self::new(map)),
            Ok(Value::Null) => Ok(Self::new(Map::new())),
            Ok(_) => Err(HttpError::constraint("body", "it must be a JSON object")),
            Err(error) => Err(HttpError(ApiError::argument(
                "body",
                ArgumentReason::Constraint,
                // The position only: the text around it may hold secrets.
                format!("it is not JSON: line {}, column {}", error.line(), error.column()),
            ))),
        }
    }
}
