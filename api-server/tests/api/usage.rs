//! What applications used, as it is kept and told. The numbers themselves come from the gateway.

use api_server::store::{DAY_MS, UsageDelta, now_ms};
use gateway::Usage;
use serde_json::json;

use crate::harness::{Server, eventually};

fn used(application_id: &str, day: i64, invocations: u64) -> UsageDelta {
    let used = Usage { invocations, errors: 1, cold_starts: 1, duration_ms: 2000, memory_mb_ms: 2000 * 256 };
    UsageDelta { application_id: application_id.to_owned(), day, used }
}

fn day(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string().chars().take(10).collect()
}

#[tokio::test]
async fn usage_is_a_row_a_day_and_application_and_stays_when_that_goes() {
    let server = Server::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    let container = client.post("containers", json!({"name": "c", "namespace_id": namespace})).await.id();
    let today = now_ms().div_euclid(DAY_MS) * DAY_MS;
    let yesterday = today - DAY_MS;
    let store = &server.state.store;
    let first = [used(&function, yesterday, 2), used(&function, today, 3), used(&container, today, 1)];
    assert_eq!(store.add_usage(&first).await.unwrap(), 0);
    assert_eq!(store.add_usage(&[used(&function, today, 4)]).await.unwrap(), 0, "is added to the day's");
    let nobody = "11111111-1111-4111-8111-111111111111";
    assert_eq!(store.add_usage(&[used(nobody, today, 1)]).await.unwrap(), 1);

    let answer = client.get(&format!("usage?application_id={function}")).await;
    assert_eq!(answer.body["total_count"], 2);
    assert_eq!(
        answer.body["usage"][1],
        json!({
            "application_id": function, "namespace_id": namespace, "kind": "function", "name": "f",
            "day": day(today), "invocations": 7, "errors": 2, "cold_starts": 2, "duration_ms": 4000,
            "gb_seconds": 1.0,
        })
    );
    assert_eq!(answer.body["usage"][0]["day"], day(yesterday));
    assert_eq!(
        other.get("usage").await.body,
        json!({"usage": [], "total_count": 0}),
        "another's is not there"
    );

    client.delete(&format!("functions/{function}")).await;
    eventually(async || (client.get(&format!("functions/{function}")).await.status == 404).then_some(()))
        .await;
    assert_eq!(
        store.add_usage(&[used(&function, today, 1)]).await.unwrap(),
        0,
        "a row that is there goes on"
    );
    let all = client.get("usage?order_by=created_at_desc&page_size=2").await;
    assert_eq!((all.body["total_count"].as_u64(), all.body["usage"].as_array().unwrap().len()), (Some(3), 2));
    let of_function =
        client.get(&format!("usage?application_id={function}&from={0}&to={0}", day(today))).await;
    assert_eq!(of_function.body["usage"][0]["invocations"], 8);
}

#[tokio::test]
async fn days_that_are_none_or_the_wrong_way_round_are_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    let today = now_ms().div_euclid(DAY_MS) * DAY_MS;
    let (recent, old) = (today - 29 * DAY_MS, today - 30 * DAY_MS);
    let deltas = [used(&function, recent, 1), used(&function, old, 1)];
    server.state.store.add_usage(&deltas).await.unwrap();
    assert_eq!(client.get("usage").await.body["total_count"], 1, "thirty days when none are named");
    let from = client.get(&format!("usage?from={}", day(old))).await;
    assert_eq!(from.body["total_count"], 2);
    let to = client.get(&format!("usage?to={}", day(old))).await;
    assert_eq!((&to.body["total_count"], &to.body["usage"][0]["day"]), (&json!(1), &json!(day(old))));
    for (query, argument) in [
        ("from=yesterday", "from"),
        ("to=2030-02-31", "to"),
        ("to=2030-01-01T00:00:00Z", "to"),
        ("from=2030-01-02&to=2030-01-01", "from"),
    ] {
        let refused = client.get(&format!("usage?{query}")).await;
        refused.assert_error(400, "invalid_arguments");
        assert_eq!(refused.body["details"][0]["argument_name"], argument, "{query}");
    }
}
