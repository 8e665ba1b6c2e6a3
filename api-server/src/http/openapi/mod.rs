//! What the API says about itself: `GET /openapi.json` (OpenAPI 3.1), made of the operations, and `GET /docs`, a page
//! that shows it and fetches nothing else.

mod constraints;
mod document;
mod links;
mod page;
mod refusals;
mod schemas;

use axum::{Router, response::IntoResponse as _, routing::get};
use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::operation::Group;
use crate::{AppState, Config};

/// The two routes. Both are made once.
pub(super) fn routes(groups: &[Group], config: &Config) -> Router<AppState> {
    let document = Bytes::from(document::document(groups, config).to_string());
    let json = async move || ([(CONTENT_TYPE, "application/json")], document).into_response();
    Router::new().route("/openapi.json", get(json)).route("/docs", get(page::page))
}
