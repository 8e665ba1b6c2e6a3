//! The registry's requests, as far as they show a key: who guesses at keys there is refused as in the API. Good keys are
//! not counted: one push is many requests.

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{
    StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER},
};
use serde_json::json;

use crate::{
    AppState,
    rate::{Peer, TooMany},
    registry_access::password,
    store::hash_key,
};

/// The registry's routes, guarded.
pub fn guarded(registry: Router, state: &AppState) -> Router {
    registry.layer(middleware::from_fn_with_state(state.clone(), guard))
}

async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let credentials = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // Clients ask once without credentials, to hear that they need some.
    let Some(hash) = credentials.and_then(password).map(|password| hash_key(&password)) else {
        return next.run(request).await;
    };
    let peer = request.extensions().get::<Peer>().copied();
    if let Err(many) = state.limiter.before(Some(&hash), peer) {
        return refuse(many);
    }
    let response = next.run(request).await;
    match response.status() {
        StatusCode::UNAUTHORIZED => state.limiter.bad(Some(&hash), peer),
        // Of other answers some come before the password is looked at.
        status if status.is_success() => state.limiter.know(&hash),
        _ => {}
    }
    response
}

/// As the registry's own errors are written.
fn refuse(many: TooMany) -> Response {
    let message =
        format!("too many wrong passwords came from this address; try again in {} s", many.seconds());
    let body = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": message}]});
    (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, many.seconds().to_string())], Json(body)).into_response()
}
