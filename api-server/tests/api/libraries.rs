//! Tokens as others read them: with the libraries that users' containers have.

#[path = "../../../tests/clients/tokens.rs"]
mod clients;

use serde_json::{Value, json};

use crate::{harness::Server, settings::setting};

/// What each library says of the tasks.
fn asked(tasks: &Value) -> Vec<(&'static str, Vec<Value>)> {
    let (clients, interpreters) = (setting("ZIPSHIP_CLIENTS"), setting("ZIPSHIP_INTERPRETERS"));
    let commands = clients::commands(&clients, &interpreters, tasks);
    let answers = commands.map(|(name, mut command)| {
        let output = command.output().unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, clients::answers(name, &output))
    });
    answers.into()
}

/// Another signature of the same length.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    format!("{signed}.{turned}")
}

#[tokio::test]
async fn the_libraries_of_three_languages_prove_a_token_with_the_key_that_came_with_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let (namespace, other) = (client.namespace("n").await, client.namespace("o").await);
    let function = client.function(&namespace, "f").await;
    let issue = async |query: &str| client.get(&format!("jwt/issue?{query}")).await.body;
    let of_namespace = issue(&format!("namespace_id={namespace}")).await;
    let of_function =
        issue(&format!("function_id={function}&expiration_date=2100-01-02T00:00:00.000Z")).await;
    let of_other = issue(&format!("namespace_id={other}")).await;
    let verify = |token: &Value, key: &Value, audience: &str| json!({"verify": token, "key": key, "audience": audience});
    let (token, key) = (&of_namespace["token"], &of_namespace["public_key"]);
    let tasks = json!([
        verify(token, key, "functions"),
        verify(&of_function["token"], key, "functions"),
        verify(token, key, "somebody else"),
        verify(&of_other["token"], key, "functions"),
        verify(&forged(token.as_str().unwrap()).into(), key, "functions"),
    ]);
    for (library, answers) in asked(&tasks) {
        let [first, second, refused @ ..] = answers.as_slice() else { panic!("{library}: {answers:?}") };
        let claims = &first["claims"];
        assert_eq!(claims["application_claim"], json!([{"namespace_id": namespace}]), "{library}: {first}");
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!(namespace), &json!("functions")), "{library}");
        assert!(claims["iat"].is_i64() && claims["nbf"] == claims["iat"], "{library}: {claims}");
        assert!(claims.get("exp").is_none() && claims["jti"].is_string(), "{library}: {claims}");
        let claims = &second["claims"];
        let claim = json!([{"namespace_id": namespace, "application_id": function}]);
        assert_eq!(
            (&claims["application_claim"], &claims["exp"]),
            (&claim, &json!(4_102_531_200_i64)),
            "{library}"
        );
        assert_eq!(refused.len(), 3, "{library}");
        for answer in refused {
            assert!(answer["refused"].is_string(), "{library}: {answer}");
        }
    }
}
