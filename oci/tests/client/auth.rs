//! Challenges, tokens, and where credentials do not go.

use axum::body::Body;
use axum::http::Response;
use oci::client::Credentials;

use crate::scripted::*;

/// A registry that wants tokens; its token service is at `/token` of the same address. `expired` says which
/// requests are told that their token has ended.
async fn with_tokens(expired: impl Fn(&Seen, usize) -> bool + Send + Sync + 'static) -> Server {
    Server::start(move |seen, before| {
        if seen.target.starts_with("/token?") {
            return Some(json(format!(r#"{{"token":"token-{before}","expires_in":300}}"#)));
        }
        let known = seen.header("authorization").is_some_and(|value| value.starts_with("Bearer token-"));
        (!known || expired(seen, before)).then(|| challenge(seen))
    })
    .await
}

fn challenge(seen: &Seen) -> Response<Body> {
    let host = seen.header("host").unwrap();
    let challenge = format!(r#"Bearer realm="http://{host}/token?x=1",service="the registry""#);
    refusal(401, "UNAUTHORIZED", "token please").with("www-authenticate", &challenge)
}

fn tokens(server: &Server) -> Vec<Seen> {
    server.seen().into_iter().filter(|seen| seen.target.starts_with("/token")).collect()
}

#[tokio::test]
async fn one_token_is_for_the_target_and_the_source_of_mounts() {
    let server = with_tokens(|_, _| false).await;
    let client = me();
    client.push(&image(), &server.reference("a:1")).await.unwrap();
    let [token] = tokens(&server).try_into().unwrap();
    assert_eq!(
        token.target,
        "/token?x=1&service=the+registry&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Abase%2Fx%3Apull"
    );
    assert_eq!(token.header("authorization"), Some(basic().as_str()));
    // The second push begins with what the first one learned.
    let before = server.seen().len();
    client.push(&image(), &server.reference("a:2")).await.unwrap();
    assert_eq!(server.seen().len() - before, 7);
}

#[tokio::test]
async fn a_token_that_ends_under_way_is_replaced() {
    let server = with_tokens(|seen, before| seen.line() == PUT && before == 1).await;
    me().push(&image(), &server.reference("a:1")).await.unwrap();
    assert_eq!(tokens(&server).len(), 2);
    assert!(server.has_manifest("1"));
    let last = server.seen().pop().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn tokens_for_nobody() {
    let server = with_tokens(|_, _| false).await;
    anonymous().push(&image(), &server.reference("a:1")).await.unwrap();
    assert_eq!(tokens(&server)[0].header("authorization"), None);
}

#[tokio::test]
async fn a_token_that_never_suffices_ends_in_the_registrys_words() {
    let server = with_tokens(|_, _| true).await;
    let error = me().manifest(&server.reference("a:1")).await.unwrap_err();
    assert!(error.to_string().contains("401 Unauthorized: UNAUTHORIZED: token please"), "{error}");
    assert_eq!(tokens(&server).len(), 2);
}

#[tokio::test]
async fn a_token_service_is_given_another_chance_and_quoted() {
    let server = Server::start(|seen, before| match seen.target.starts_with("/token?") {
        true if before == 0 => Some(status(503)),
        true => Some(refusal(403, "DENIED", "who are you")),
        false => Some(challenge(seen)),
    })
    .await;
    let error = me().manifest(&server.reference("a:1")).await.unwrap_err();
    assert!(error.to_string().contains("/token: 403 Forbidden: DENIED: who are you"), "{error}");
    assert_eq!(tokens(&server).len(), 2);
}

#[tokio::test]
async fn a_token_service_elsewhere_without_tls_is_not_asked() {
    let server = Server::start(|_, _| {
        Some(status(401).with("www-authenticate", r#"Bearer realm="http://token.invalid/",service="x""#))
    })
    .await;
    let error = me().manifest(&server.reference("a:1")).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn name_and_password_go_with_every_request_and_are_never_shown() {
    let server = Server::start(|seen, _| match seen.header("authorization") == Some(&basic()) {
        true if seen.line() == MANIFEST => Some(refusal(403, "DENIED", "no")),
        true => None,
        false => Some(status(401).with("www-authenticate", "Basic realm=\"x\"")),
    })
    .await;
    let client = me();
    let error = client.push(&image(), &server.reference("a:1")).await.unwrap_err();
    let shown = format!("{error} {error:?} {client:?}");
    assert!(shown.contains("DENIED"));
    assert!(!shown.contains(PASSWORD) && !shown.contains(&basic()[6..]), "{shown}");
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == Some(&basic())));
}

#[tokio::test]
async fn an_identity_token_is_exchanged_and_never_shown_to_the_registry() {
    let server = Server::start(|seen, _| {
        if seen.line() == "POST /token" {
            return Some(json(r#"{"access_token":"token-0","expires_in":300}"#.to_owned()));
        }
        let known = seen.header("authorization") == Some("Bearer token-0");
        (!known).then(|| challenge(seen))
    })
    .await;
    let identity = client(Credentials::Identity { token: "it & it".to_owned() });
    identity.push(&image(), &server.reference("a:1")).await.unwrap();
    let [token] = tokens(&server).try_into().unwrap();
    let form = String::from_utf8(token.body.to_vec()).unwrap();
    for part in ["grant_type=refresh_token", "refresh_token=it+%26+it", "service=the+registry"] {
        assert!(form.split('&').any(|found| found == part), "{form}");
    }
    assert!(form.contains("scope=repository%3Aa%3Apull%2Cpush+repository%3Abase%2Fx%3Apull"), "{form}");
    for seen in server.seen() {
        let shown = seen.header("authorization").unwrap_or_default();
        assert!(shown.is_empty() || shown == "Bearer token-0", "{shown}");
    }
}

#[tokio::test]
async fn a_registry_token_is_shown_as_it_is() {
    let server = Server::start(|seen, _| {
        (seen.header("authorization") != Some("Bearer mine")).then(|| refusal(401, "UNAUTHORIZED", "no"))
    })
    .await;
    let bearer = client(Credentials::Bearer { token: "mine".to_owned() });
    bearer.push(&image(), &server.reference("a:1")).await.unwrap();
    assert!(server.has_manifest("1"));
}
