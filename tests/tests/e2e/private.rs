//! Private functions: nobody without the right token reaches user code.

use reqwest::Method;
use zipship_tests::{Answer, Api, Function, Server, Spec, Zip};

const HANDLER: &str = "module.exports.handle = async (event) => ({ body: JSON.stringify(event.headers) });";
const PRIVATE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "private" };

#[tokio::test(flavor = "multi_thread")]
async fn a_private_function_answers_only_its_own_tokens() -> anyhow::Result<()> {
    let server = Server::start()?;
    let api = server.api();
    let archive = Zip::of("handler.js", HANDLER);
    let function = Function::deployed(api, PRIVATE, &archive).await?;
    let stranger = Function::create(api, PRIVATE).await?;

    let without = function.call().await?;
    assert_eq!((without.status, without.text().as_str()), (404, ""));
    assert_eq!(with_token(&function, "SCW_FUNCTIONS_TOKEN", "not.a.token").await?.status, 401);

    let own = token(api, &format!("function_id={}", function.id)).await?;
    let answer = with_token(&function, "SCW_FUNCTIONS_TOKEN", &own).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains(&own), "user code saw the token: {}", answer.text());
    assert_eq!(with_token(&function, "SCW-Functions-Token", &own).await?.status, 200);
    assert_eq!(with_token(&function, "X-Auth-Token", &own).await?.status, 200);

    let namespace = token(api, &format!("namespace_id={}", function.namespace)).await?;
    assert_eq!(with_token(&function, "SCW_FUNCTIONS_TOKEN", &namespace).await?.status, 200);

    // Another namespace has another key pair: its token's signature is not one of ours.
    let strange = token(api, &format!("function_id={}", stranger.id)).await?;
    assert_eq!(with_token(&function, "SCW_FUNCTIONS_TOKEN", &strange).await?.status, 401);

    let neighbour = Function::create_in(api, &function.namespace, PRIVATE).await?;
    let neighbours = token(api, &format!("function_id={}", neighbour.id)).await?;
    assert_eq!(with_token(&function, "SCW_FUNCTIONS_TOKEN", &neighbours).await?.status, 403);
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_request_that_makes_no_sense_is_refused() -> anyhow::Result<()> {
    let server = Server::start()?;
    let function = Function::create(server.api(), PRIVATE).await?;
    let past = format!("jwt/issue?function_id={}&expiration_date=2020-01-02T00:00:00Z", function.id);
    for path in ["jwt/issue", past.as_str(), "jwt/issue?function_id=a&namespace_id=b"] {
        let refused = server.api().get(path).await?.expect(400);
        assert_eq!(refused["type"], "invalid_arguments", "{path}: {refused}");
    }
    server.stop()
}

async fn token(api: &Api, query: &str) -> anyhow::Result<String> {
    let issued = api.get(&format!("jwt/issue?{query}")).await?.expect(200);
    Ok(issued["token"].as_str().unwrap().to_owned())
}

async fn with_token(function: &Function, header: &str, token: &str) -> anyhow::Result<Answer> {
    Answer::of(function.request(Method::GET, "").header(header, token)).await
}
