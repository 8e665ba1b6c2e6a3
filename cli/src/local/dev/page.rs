//! The dev server's own answers: a function that can't be loaded, an address without a function.

use bytes::Bytes;
use gateway::{BodyError, BoxBody};
use http::header::{ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;

/// 500 with the cause: the JSON that the shim gives for it, or a page for a browser.
pub(super) fn broken(headers: &HeaderMap, name: &str, why: &str) -> Response<BoxBody> {
    if wants_html(headers) {
        let title = format!("{name} can't be loaded");
        return html(
            StatusCode::INTERNAL_SERVER_ERROR,
            &title,
            why,
            "Save a file that mends it, and reload this page.",
        );
    }
    let body = json!({ "errorMessage": why, "errorType": "Runtime.ImportError" });
    answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json", body.to_string())
}

/// 404 with the functions that there are.
pub(super) fn nothing_here(headers: &HeaderMap, names: &[&str]) -> Response<BoxBody> {
    let paths: Vec<String> = names.iter().map(|name| format!("/{name}")).collect();
    if wants_html(headers) {
        let list = paths.join("\n");
        return html(StatusCode::NOT_FOUND, "There is no function here", &list, "These are the functions.");
    }
    let message = format!("there is no function at this address; there are: {}", paths.join(", "));
    answer(
        StatusCode::NOT_FOUND,
        "application/json",
        json!({ "type": "not_found", "message": message }).to_string(),
    )
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

fn html(status: StatusCode, title: &str, text: &str, hint: &str) -> Response<BoxBody> {
    let (title, text) = (escaped(title), escaped(text));
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title>\
         <style>body{{font:16px system-ui;margin:3em;max-width:60em}}pre{{background:#f4f4f4;padding:1em;white-space:pre-wrap}}</style>\
         <h1>{title}</h1><pre>{text}</pre><p>{hint}\n"
    );
    answer(status, "text/html; charset=utf-8", page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// With the CORS headers of every answer.
fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<BoxBody> {
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(BodyError::from).boxed_unsync());
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
