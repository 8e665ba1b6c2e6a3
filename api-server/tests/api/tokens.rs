//! `GET jwt/issue`: which questions get a token, and what it says.

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
    let claims = issue(&format!("namespace_id={namespace}")).await;
    assert_eq!(claims.application_claim[0].namespace_id.as_deref(), Some(namespace.as_str()));
    assert_eq!((claims.application_claim[0].application_id.as_deref(), claims.exp), (None, None));
}

#[tokio::test]
async fn every_way_to_write_a_date_in_the_future_is_taken_to_the_second() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.namespace("n").await;
    for (date, exp) in [
        ("2100-01-02T00:00:00Z", 4_102_531_200),
        ("2100-01-02T00:00:00.000Z", 4_102_531_200),
        ("2100-01-02T00:00:00.999Z", 4_102_531_200),
        ("2100-01-02T00:00:00.123456789Z", 4_102_531_200),
        ("2100-01-02t00:00:00z", 4_102_531_200),
        ("2100-01-02T00:00:00%2B00:00", 4_102_531_200),
        ("2100-01-02T02:30:00%2B02:30", 4_102_531_200),
        ("2100-01-01T19:00:00-05:00", 4_102_531_200),
        ("2100-02-28T23:59:59Z", 4_107_542_399),
        // The last second that a date can name, and no more.
        ("9999-12-30T22:00:00Z", 253_402_207_200),
    ] {
        let answer = client.get(&format!("jwt/issue?namespace_id={id}&expiration_date={date}")).await;
        assert_eq!(answer.status, 200, "{date}: {answer:?}");
        let key = answer.body["public_key"].as_str().unwrap();
        assert_eq!(decode(answer.body["token"].as_str().unwrap(), key).exp, Some(exp), "{date}");
    }
}

#[tokio::test]
async fn a_date_that_is_past_or_is_none_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let id = client.namespace("n").await;
    let now = jiff::Timestamp::now().as_second();
    let just_past = jiff::Timestamp::from_second(now).unwrap().to_string();
    for date in [
        "2020-01-02T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "-000001-01-01T00:00:00Z",
        &just_past,
        "tomorrow",
        "2100-01-02",
        "2100-01-02T00:00:00",
        "2100-02-29T00:00:00Z",
        "2100-01-02T24:00:00Z",
        "2100-01-02T00:00:00.Z",
        "2100-01-02T00:00:00ZZ",
        "2100-01-02T00:00:00Z%00",
        "4102531200",
        "99999-01-01T00:00:00Z",
        "%FF",
    ] {
        let path = format!("jwt/issue?namespace_id={id}&expiration_date={date}");
        client.get(&path).await.assert_argument("expiration_date", "constraint");
    }
}

#[tokio::test]
async fn exactly_one_id_is_asked_for() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    for none in [
        "",
        "?",
        "?namespace_id=",
        "?function_id=&container_id=",
        "?id=1",
        "?expiration_date=2100-01-02T00:00:00Z",
    ] {
        client.get(&format!("jwt/issue{none}")).await.assert_argument("namespace_id", "required");
    }
    for several in [
        format!("namespace_id={namespace}&function_id={function}"),
        format!("namespace_id={namespace}&container_id={function}"),
        format!("function_id={function}&container_id={function}"),
        format!("namespace_id={namespace}&function_id={function}&container_id={function}"),
    ] {
        client.get(&format!("jwt/issue?{several}")).await.assert_argument("namespace_id", "constraint");
    }
    // An empty one is as good as none.
    let answer = client.get(&format!("jwt/issue?namespace_id=&function_id={function}&container_id=")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn nobody_gets_a_token_for_what_is_not_theirs_or_not_there() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    let other = server.client().await;
    for (query, id) in [("namespace_id", &namespace), ("function_id", &function)] {
        let path = format!("jwt/issue?{query}={id}");
        assert_eq!(client.get(&path).await.status, 200);
        other.get(&path).await.assert_error(404, "not_found");
        let unknown = format!("jwt/issue?{query}={}", api_server::store::new_id());
        client.get(&unknown).await.assert_error(404, "not_found");
        server.stranger().get(&path).await.assert_error(401, "denied_authentication");
    }
    // One kind's id is no other's.
    for path in [
        format!("jwt/issue?namespace_id={function}"),
        format!("jwt/issue?function_id={namespace}"),
        format!("jwt/issue?container_id={function}"),
    ] {
        client.get(&path).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn no_two_tokens_are_the_same_and_each_says_who_it_is_for() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    let before = jiff::Timestamp::now().as_second();
    let mut ids = std::collections::BTreeSet::new();
    for (query, subject) in [("namespace_id", &namespace), ("function_id", &function)] {
        for _ in 0..2 {
            let answer = client.get(&format!("jwt/issue?{query}={subject}")).await;
            let token = answer.body["token"].as_str().unwrap();
            let claims = decode(token, answer.body["public_key"].as_str().unwrap());
            assert_eq!((claims.iss.as_str(), &claims.sub), ("zipship", subject));
            assert!(claims.nbf == claims.iat && (before..before + 60).contains(&claims.iat), "{claims:?}");
            assert_eq!(claims.application_claim.len(), 1);
            assert!(ids.insert(claims.jti), "{query}");
        }
    }
}
