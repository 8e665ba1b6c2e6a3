//! The routes: every operation, and what describes them.

use std::time::Instant;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};

use super::{missing, openapi, operations::operations, request_id};
use crate::AppState;

/// The routes of the API, the registry namespaces and the archives. What it does not know is answered 404 in JSON.
pub fn router(state: AppState) -> Router {
    let groups = operations();
    let mut router = Router::new().merge(openapi::routes(&groups, &state.config));
    for group in groups {
        for operation in group.operations {
            let counted = middleware::from_fn_with_state((state.clone(), operation.name), count);
            router =
                router.route(&format!("{}{}", group.base, operation.path), operation.route.layer(counted));
        }
    }
    router
        .fallback(missing::not_found)
        .method_not_allowed_fallback(missing::method_not_allowed)
        .layer(middleware::from_fn(request_id::layer))
        .with_state(state)
}

/// Other routes of the same listener, with a request id as the API's.
pub fn with_request_ids(router: Router) -> Router {
    router.layer(middleware::from_fn(request_id::layer))
}

/// Counts an operation's answer.
async fn count(
    State((state, operation)): State<(AppState, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let since = Instant::now();
    let response = next.run(request).await;
    state.metrics.answered(operation, response.status(), since);
    response
}
