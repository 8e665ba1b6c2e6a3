//! Every route, grouped by resource.

use axum::{
    Router, middleware,
    routing::{any, get, post, put},
};

use super::{functions, missing, namespaces, registry, request_id, runtimes, tokens, uploads};
use crate::AppState;

/// The routes of the API, the registry namespaces and the archives. What it does not know is answered 404 in JSON.
pub fn router(state: AppState) -> Router {
    let region = Router::new()
        .route("/namespaces", get(namespaces::list).post(namespaces::create))
        .route("/namespaces/{id}", get(namespaces::get).patch(namespaces::update).delete(namespaces::delete))
        .route("/namespaces/{id}/functions", get(functions::list_of_namespace))
        .route("/functions", get(functions::list).post(functions::create))
        .route("/functions/{id}", get(functions::get).patch(functions::update).delete(functions::delete))
        .route("/functions/{id}/deploy", post(functions::deploy))
        .route("/functions/{id}/upload-url", get(uploads::upload_url))
        .route("/functions/{id}/download-url", get(uploads::download_url))
        .route("/runtimes", get(runtimes::list))
        .route("/jwt/issue", get(tokens::issue))
        // Of the document, not here yet.
        .route("/namespaces/{id}/containers", any(missing::not_implemented))
        .route("/containers", any(missing::not_implemented))
        .route("/containers/{*rest}", any(missing::not_implemented))
        .route("/crons", any(missing::not_implemented))
        .route("/crons/{*rest}", any(missing::not_implemented))
        .route("/logs", any(missing::not_implemented));
    Router::new()
        .nest("/functions/v1alpha2/regions/{region}", region)
        .route("/registry/v1beta2/regions/{region}/namespaces/{id}", get(registry::get))
        .route("/archives/{key}", put(uploads::put).get(uploads::get))
        .fallback(missing::not_found)
        .method_not_allowed_fallback(missing::method_not_allowed)
        .layer(middleware::from_fn(request_id::layer))
        .with_state(state)
}
