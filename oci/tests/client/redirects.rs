//! Redirects and upload sessions elsewhere: followed, but without credentials.

use oci::Digest;
use oci::client::ClientError;

use crate::scripted::*;

/// A registry that sends downloads to another host.
async fn elsewhere(code: u16) -> (Server, Server) {
    let storage = Server::start(|_, _| None).await;
    let address = storage.address.clone();
    let registry = Server::start(move |seen, _| {
        let moved = seen.method == "GET" && seen.target.contains("/blobs/");
        moved.then(|| status(code).with("location", &format!("http://{address}{}?signature=s", seen.target)))
    })
    .await;
    (registry, storage)
}

#[tokio::test]
async fn a_download_elsewhere_goes_without_credentials() {
    for code in [301, 302, 303, 307, 308] {
        let (registry, storage) = elsewhere(code).await;
        let digest = storage.add_blob(b"content");
        let mut content = Vec::new();
        me().blob(&registry.reference("a"), &digest, &mut content).await.unwrap();
        assert_eq!(content, b"content", "{code}");
        assert_eq!(registry.seen()[0].header("authorization"), Some(basic().as_str()));
        let [there] = storage.seen().try_into().unwrap();
        assert_eq!(there.header("authorization"), None);
        assert!(there.target.ends_with("?signature=s"));
    }
}

#[tokio::test]
async fn an_upload_elsewhere_goes_without_credentials_and_with_its_body() {
    let storage = Server::start(|_, _| None).await;
    let address = storage.address.clone();
    // Once by the session's Location, once by a redirect of the PUT.
    let registry = Server::start(move |seen, before| {
        let there = format!("http://{address}/v2/a/blobs/uploads/session?_state=a%3D%3D&x");
        match (seen.line().as_str(), before) {
            (POST, 0) => Some(status(202).with("location", &there)),
            (PUT, 0) => Some(status(307).with("location", &format!("http://{address}{}", seen.target))),
            _ => None,
        }
    })
    .await;
    me().push(&image(), &registry.reference("a:1")).await.unwrap();
    assert_eq!(storage.count(PUT), 2);
    assert!(storage.has_blob(&Digest::of(b"base")) && storage.has_blob(&Digest::of(b"code")));
    assert!(storage.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert!(registry.seen().iter().all(|seen| seen.header("authorization").is_some()));
}

#[tokio::test]
async fn a_challenge_from_elsewhere_is_not_answered() {
    let storage = Server::start(|_, _| Some(status(401).with("www-authenticate", "Basic realm=\"x\""))).await;
    let address = storage.address.clone();
    let registry =
        Server::start(move |_, _| Some(status(307).with("location", &format!("http://{address}/x")))).await;
    let error = me().manifest(&registry.reference("a:1")).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
    let [there] = storage.seen().try_into().unwrap();
    assert_eq!(there.header("authorization"), None);
}

#[tokio::test]
async fn circles_end() {
    let server = Server::start(|seen, _| Some(status(307).with("location", &seen.target))).await;
    let error = me().manifest(&server.reference("a:1")).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_session_without_a_place_is_an_error() {
    let server = Server::start(|seen, _| (seen.line() == POST).then(|| status(202))).await;
    let error = anonymous().push(&image(), &server.reference("a:1")).await.unwrap_err();
    assert!(error.to_string().contains("no Location"), "{error}");
    assert_eq!(server.count(POST), 1);
}
