//! `GET /v2/_catalog`: the repositories, as registries had it before the specification, a page at a time. Only those
//! that the caller may pull from.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::LINK;
use axum::response::IntoResponse;

use crate::Registry;
use crate::authorize::Action;
use crate::route::Answer;
use crate::store::blocking;
use crate::tags::page;

/// Repositories in a page, when the request names no number and at most.
const PAGE: usize = 100;
const LARGEST: usize = 1000;

/// The names in byte order: after `last`, at most `n`, with a `Link` to the next page when there is one.
pub(crate) async fn list(registry: &Registry, headers: &HeaderMap, query: Option<&str>) -> Answer {
    let store = registry.store.clone();
    let all = blocking(move || store.repositories()).await?;
    let (n, last) = page(query);
    let n = n.unwrap_or(PAGE).clamp(1, LARGEST);
    let last = last.map(|last| last.replace("%2F", "/").replace("%2f", "/"));
    let mut names = Vec::new();
    let mut more = false;
    for name in all.into_iter().filter(|name| last.as_ref().is_none_or(|last| name > last)) {
        if registry.check(headers, &name, Action::Pull).await.is_err() {
            continue;
        }
        more = names.len() == n;
        if more {
            break;
        }
        names.push(name);
    }
    let link = names.last().filter(|_| more);
    let link = link.map(|last| [(LINK, format!("</v2/_catalog?n={n}&last={last}>; rel=\"next\""))]);
    let body = Json(serde_json::json!({ "repositories": names }));
    Ok(match link {
        Some(link) => (link, body).into_response(),
        None => body.into_response(),
    })
}
