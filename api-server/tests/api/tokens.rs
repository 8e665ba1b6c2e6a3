//! Tokens.

use contract::token::Claims;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use crate::harness::Server;

fn decode(token: &str, public_key: &str) -> Claims {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&["functions"]);
    rules.required_spec_claims.clear();
    let key = DecodingKey::from_rsa_pem(public_key.as_bytes()).unwrap();
    jsonwebtoken::decode::<Claims>(token, &key, &rules).unwrap().claims
}

#[tokio::test]
async fn a_token_is_proven_by_the_key_beside_it_and_claims_what_was_asked() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    let issue = async |query: &str| {
        let answer = client.get(&format!("jwt/issue?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let key = answer.body["public_key"].as_str().unwrap().to_owned();
        assert!(key.starts_with("-----BEGIN RSA PUBLIC KEY-----\n"), "{key}");
        decode(answer.body["token"].as_str().unwrap(), &key)
    };
    let claims = issue(&format!("function_id={function}")).await;
    assert_eq!(claims.application_claim[0].namespace_id.as_deref(), Some(namespace.as_str()));
    assert_eq!(claims.application_claim[0].application_id.as_deref(), Some(function.as_str()));
    assert_eq!(claims.exp, None);
    let claims = issue(&format!("namespace_id={namespace}&expiration_date=2100-01-02T00:00:00.000Z")).await;
    assert_eq!(claims.application_claim[0].application_id, None);
    assert_eq!(claims.exp, Some(4_102_531_200));
    let claims = issue(&format!("namespace_id={namespace}&expiration_date=2100-01-02T00:00:00Z")).await;
    assert_eq!(claims.exp, Some(4_102_531_200));
}

#[tokio::test]
async fn bad_questions_for_a_token_are_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.namespace("n").await;
    client.get("jwt/issue").await.assert_argument("namespace_id", "required");
    let two = format!("jwt/issue?namespace_id={id}&function_id={id}");
    client.get(&two).await.assert_argument("namespace_id", "constraint");
    for date in ["2020-01-02T00:00:00Z", "tomorrow", "2100-01-02"] {
        let path = format!("jwt/issue?namespace_id={id}&expiration_date={date}");
        client.get(&path).await.assert_argument("expiration_date", "constraint");
    }
    client.get(&format!("jwt/issue?container_id={id}")).await.assert_error(404, "not_found");
}
