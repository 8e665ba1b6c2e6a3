//! A deploy's proof that its revision answers: a request through the public path with the nonce of the deploy.
//! The shim answers it without user code; the gateway adds which revision and image answered.

use contract::event::{X_ZIPSHIP_IMAGE, X_ZIPSHIP_PROBE, X_ZIPSHIP_REVISION};
use http::{HeaderMap, HeaderValue};

use crate::Revision;
use crate::function::Function;
use crate::headers::text;

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

/// Says on a probe's answer who gave it.
pub(crate) fn sign(headers: &mut HeaderMap, revision: &Revision) {
    headers.insert(X_ZIPSHIP_REVISION, text(&revision.id));
    headers.insert(X_ZIPSHIP_IMAGE, text(&revision.image_digest));
}
