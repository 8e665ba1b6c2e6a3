//! `GET /openapi.json` and `GET /docs`.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::operations;
use crate::harness::Server;

#[tokio::test]
async fn the_description_needs_no_key_and_names_regions_and_limits_of_this_server() {
    let server = Server::start().await;
    let document = server.document();
    assert_eq!(document["openapi"], "3.1.0");
    let create = document.pointer("/components/schemas/CreateFunction/properties").unwrap();
    assert_eq!(
        (&create["timeout"]["maximum"], &create["timeout"]["default"]),
        (&json!(900_000), &json!(300_000))
    );
    assert_eq!(create["memory_limit"]["enum"], json!([128, 256, 512, 1024, null]));
    assert_eq!(create["privacy"]["default"], "unknown");
    let update = document.pointer("/components/schemas/UpdateFunction/properties").unwrap();
    assert!(update["timeout"].get("default").is_none(), "absent means unchanged: {update}");
    for operation in operations(document) {
        let region = &operation.says["parameters"][0];
        if operation.needs_key() {
            assert_eq!(region["schema"]["enum"], json!(["fr-par", "nl-ams"]), "{}", operation.name());
        }
        assert_ne!(operation.says["summary"], "", "{}", operation.name());
    }
    let mut names: Vec<_> =
        operations(document).iter().map(|operation| operation.name().to_owned()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "names of operations are unique");
}

#[tokio::test]
async fn the_page_may_fetch_nothing_from_outside() {
    let server = Server::start().await;
    let request = Request::get("/docs").body(Body::empty()).unwrap();
    let page = server.stranger().send(request).await;
    assert_eq!((page.status.as_u16(), page.content_type.as_str()), (200, "text/html; charset=utf-8"));
    let text = String::from_utf8(page.bytes).unwrap();
    assert!(!text.contains("://"), "an address of elsewhere");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
}
