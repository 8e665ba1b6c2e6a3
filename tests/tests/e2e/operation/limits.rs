//! How many requests are answered, at the real listener.

use anyhow::ensure;
use reqwest::Method;
use zipship_tests::{Answer, Function, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_keys_are_bounded_by_address_and_known_keys_and_calls_go_on() -> anyhow::Result<()> {
    let server = Server::start_with(&["--address-rate", "1", "--address-burst", "20"])?;
    let api = server.api();
    let handler = Zip::of("handler.js", "module.exports.handle = async () => 'a';\n");
    let function = Function::deployed(api, NODE, &handler).await?;
    let guess = api.with_key("11111111-1111-4111-8111-111111111111");
    let (mut denied, mut refused) = (0, 0);
    for _ in 0..30 {
        let answer = guess.get("namespaces").await?;
        match answer.status {
            401 => denied += 1,
            429 => {
                refused += 1;
                assert_eq!(answer.json()["type"], "too_many_requests");
                ensure!(answer.header("retry-after").parse::<u64>()? >= 1);
            }
            status => anyhow::bail!("{status}"),
        }
    }
    ensure!(denied >= 20 && refused >= 5, "{denied} {refused}");
    // At the registry too, where the key is a password.
    let login = |password: &str| {
        api.request(Method::GET, &format!("{}/v2/", api.url())).basic_auth("any", Some(password.to_owned()))
    };
    let answer = Answer::of(login("22222222-2222-4222-8222-222222222222")).await?;
    assert_eq!(answer.expect(429)["errors"][0]["code"], "TOOMANYREQUESTS");

    assert_eq!(api.get("namespaces").await?.status, 200, "who is known goes on");
    assert_eq!(Answer::of(login(api.key())).await?.status, 200);
    for _ in 0..30 {
        assert_eq!(function.call().await?.status, 200, "calls are under no such limit");
    }
    function.redeploy(&handler).await?;
    server.stop()
}
