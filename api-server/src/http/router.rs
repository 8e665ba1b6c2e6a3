//! The routes: every operation, and what describes them.

use axum::{Router, middleware};

use super::{missing, openapi, operations::operations, request_id};
use crate::AppState;

/// The routes of the API, the registry namespaces and the archives. What it does not know is answered 404 in JSON.
pub fn router(state: AppState) -> Router {
    let groups = operations();
    let mut router = Router::new().merge(openapi::routes(&groups, &state.config));
    for group in groups {
        for operation in group.operations {
            router = router.route(&format!("{}{}", group.base, operation.path), operation.route);
        }
    }
    router
        .fallback(missing::not_found)
        .method_not_allowed_fallback(missing::method_not_allowed)
        .layer(middleware::from_fn(request_id::layer))
        .with_state(state)
}
