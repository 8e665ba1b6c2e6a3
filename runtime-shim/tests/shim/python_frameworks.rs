//! Handlers that were written for AWS API Gateway, unmodified: adapters and frameworks as their documentation has them.

use crate::harness::http::Request;
use crate::harness::{Language, Setup, Shim, each, setting};

/// Where the packages of `tests/shim/python/requirements.txt` are.
const WITH_PACKAGES: [(Language, &str); 2] =
    [(Language::Python, "python311"), (Language::PythonLine("python313"), "python313")];

fn start(language: Language, source: &str, handler: &str) -> Shim {
    let runtime = WITH_PACKAGES.iter().find(|(with, _)| *with == language).expect("a python with packages").1;
    let packages = setting("ZIPSHIP_CACHE").join("handler-packages").join(runtime);
    assert!(packages.is_dir(), "{} is not there: run scripts/setup test", packages.display());
    let (file, _) = handler.split_once('.').expect("a file");
    let setup = Setup::new(language, "").file(&format!("{file}.py"), source).set("SCW_HANDLER", handler);
    std::os::unix::fs::symlink(packages, setup.code().join("package")).expect("a link");
    let shim = setup.start();
    assert!(shim.ready.ready, "{language:?} {handler} {:?}", shim.ready);
    shim
}

/// What all of them have: a path with a part, a query, headers, bodies of text and of bytes, requests at once.
fn serves(shim: &Shim, what: &str) {
    // apig-wsgi reads a path's characters as bytes: none beyond ASCII for it.
    let (path, name) = if what.ends_with("apig") { ("w%20rld", "w rld") } else { ("w%C3%B6rld", "wörld") };
    let hello = shim.call(Request::get(&format!("/hello/{path}?q=1&q=a%20b")).header("X-Tag", "t"));
    let said = hello.json();
    assert_eq!((&said["name"], &said["q"]), (&name.into(), &serde_json::json!(["1", "a b"])), "{what}");
    assert_eq!(hello.header("x-tag").as_deref(), Some("t"), "{what}");
    assert_eq!(hello.header("content-type").as_deref(), Some("application/json"), "{what}");
    let echo = Request::new("POST", "/echo").header("Content-Type", "text/plain; charset=utf-8");
    assert_eq!(shim.call(echo.body("hé €")).text(), "hé €", "{what}");
    assert_eq!(shim.get("/nowhere").status, 404, "{what}");
    for _ in 0..3 {
        let waiting: Vec<_> = (0..8).map(|_| shim.send(Request::get("/wait"))).collect();
        for sent in waiting {
            assert_eq!(sent.response().text(), "waited", "{what}");
        }
    }
}

fn carries_bytes(shim: &Shim, what: &str) {
    let bytes: Vec<u8> = (0..=255).collect();
    let echo = Request::new("POST", "/echo").header("Content-Type", "application/octet-stream");
    assert_eq!(shim.call(echo.body(bytes.clone())).body, bytes, "{what}");
}

fn carries_cookies(shim: &Shim, what: &str) {
    let answer = shim.call(Request::get("/cookies").header("Cookie", "seen=yes"));
    let cookies = answer.header("set-cookie").expect("cookies");
    assert!(
        answer.text() == "yes" && cookies.contains("a=1") && cookies.contains("b=2"),
        "{what} {answer:?}"
    );
    assert_eq!(shim.get("/pieces").text(), "012", "{what}");
}

#[test]
fn an_asgi_application_behind_mangum() {
    each(WITH_PACKAGES.map(|(language, _)| language).to_vec(), |language| {
        let shim = start(language, include_str!("python/asgi.py"), "asgi.handle");
        let what = format!("{language:?}");
        serves(&shim, &what);
        carries_bytes(&shim, &what);
        carries_cookies(&shim, &what);
        let id = shim.call(Request::get("/hello/a").header("X-Request-Id", "request-1")).json()["id"].clone();
        assert_eq!(id, "request-1", "{what}");
        assert_eq!(shim.get("/fail").status, 500, "{what}");
        shim.logged("the application fails");
    });
}

#[test]
fn a_wsgi_application_behind_its_adapters() {
    each(WITH_PACKAGES.map(|(language, _)| language).to_vec(), |language| {
        for handler in ["wsgi.apig", "wsgi.serverless"] {
            let shim = start(language, include_str!("python/wsgi.py"), handler);
            let what = format!("{language:?} {handler}");
            serves(&shim, &what);
            carries_bytes(&shim, &what);
            carries_cookies(&shim, &what);
            assert_eq!(shim.get("/fail").status, 500, "{what}");
            shim.logged("the application fails");
        }
    });
}

#[test]
fn an_api_of_powertools() {
    each(WITH_PACKAGES.map(|(language, _)| language).to_vec(), |language| {
        let shim = start(language, include_str!("python/powertools.py"), "powertools.handle");
        serves(&shim, &format!("{language:?}"));
        assert_eq!(shim.get("/fail").status, 500, "{language:?}");
        let record = shim.logged("\"message\":\"hello\"");
        let line: serde_json::Value = serde_json::from_str(&record.line).expect("a line of JSON");
        assert_eq!(line["correlation_id"], record.request_id.expect("an id"), "{language:?}");
    });
}
