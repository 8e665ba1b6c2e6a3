//! A deploy's proof that its revision answers: a request through the public path with the nonce of the deploy.
//! The shim answers it without user code; for a container the gateway does, once it has a connection. It adds which revision and image answered.

use std::time::Duration;

use contract::event::{X_ZIPSHIP_IMAGE, X_ZIPSHIP_PROBE, X_ZIPSHIP_REVISION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Empty};

use crate::core::Outcome;
use crate::function::Function;
use crate::headers::text;
use crate::hold::Slot;
use crate::proxy::is_dead;
use crate::{BodyError, BoxBody, Revision};

/// The request's nonce when it is the one that its function expects.
pub(crate) fn expected(headers: &HeaderMap, function: &Function) -> Option<HeaderValue> {
    let nonce = headers.get(X_ZIPSHIP_PROBE)?;
    let inner = function.lock();
    inner
        .probe
        .as_ref()
        .is_some_and(|expected| expected.as_bytes() == nonce.as_bytes())
        .then(|| nonce.clone())
}

/// A container that takes a connection is there: no route of the user's is called. `None` when it does not.
pub(crate) async fn of_container(mut slot: Slot, limit: Duration) -> Option<Response<BoxBody>> {
    let pool = slot.instance.pool()?;
    match tokio::time::timeout(limit, pool.connect()).await {
        Ok(Ok(connection)) => pool.keep(connection),
        Ok(Err(error)) if is_dead(&error) => {
            slot.outcome = Outcome::Unreachable;
            return None;
        }
        Ok(Err(_)) | Err(_) => return None,
    }
    slot.outcome = Outcome::Answered;
    let mut response = Response::new(Empty::new().map_err(BodyError::from).boxed_unsync());
    *response.status_mut() = StatusCode::NO_CONTENT;
    sign(response.headers_mut(), &slot.instance.revision);
    Some(response)
}

/// Says on a probe's answer who gave it.
pub(crate) fn sign(headers: &mut HeaderMap, revision: &Revision) {
    headers.insert(X_ZIPSHIP_REVISION, text(&revision.id));
    headers.insert(X_ZIPSHIP_IMAGE, text(&revision.image_digest));
}
