//! Logs of applications, without instances: lines are said here as an instance's are.

use std::{fs, time::Duration};

use api_server::logs::{About, Line, LogLimits, LogRate, Logs};
use contract::instance::LogStream;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server, eventually};

/// Says lines as an instance would, and waits until they are written.
async fn say(logs: &Logs, application: &str, lines: impl IntoIterator<Item = String>) {
    let lines: Vec<_> = lines.into_iter().collect();
    let said = logs.said(application, "instance-1");
    said.lines(lines.iter().map(|line| (line.as_bytes(), read)));
    drop(said);
    logs.close().await;
}

fn read(text: &[u8]) -> Option<Line> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let (instance, request) = (String::new(), "request-1".to_owned());
    Some(Line { time: 1_795_435_200_000, stream: LogStream::Stdout, instance, request, part: 0, text })
}

async fn page(client: &Client, application: &str, query: &str) -> Answer {
    let answer = client.get(&format!("logs?application_id={application}&{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn messages(answer: &Answer) -> Vec<&str> {
    answer.body["logs"].as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap()).collect()
}

fn numbered(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|number| format!("line {number}")).collect()
}

async fn function(server: &Server) -> (Client, String) {
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let id = client.function(&namespace, "f").await;
    (client, id)
}

#[tokio::test]
async fn a_line_is_answered_with_all_that_is_known_of_it() {
    let server = Server::start().await;
    let (client, id) = function(&server).await;
    let empty = page(&client, &id, "").await.body;
    assert_eq!(empty, json!({"logs": [], "total_count": 0, "end": "0000000000000000"}));
    say(&server.state.logs, &id, ["héllo".to_owned()]).await;
    server.state.logs.event(&id, About { instance: Some("instance-1"), request: None }, "two\nlines");
    server.state.logs.close().await;
    let body = page(&client, &id, "").await.body;
    assert_eq!((&body["total_count"], &body["end"]), (&json!(3), &json!("0000000000000003")));
    assert_eq!(
        body["logs"][2],
        json!({"id": "0000000000000000", "message": "héllo", "timestamp": "2026-11-23T12:00:00Z", "stream": "stdout",
            "instance_id": "instance-1", "request_id": "request-1", "part": 0})
    );
    assert_eq!(
        (&body["logs"][0]["message"], &body["logs"][0]["stream"]),
        (&json!("lines"), &json!("platform"))
    );
    assert_eq!(body["logs"][0]["request_id"], Value::Null);
}

#[tokio::test]
async fn pages_of_a_log_stay_while_lines_are_written() {
    let server = Server::start().await;
    let (client, id) = function(&server).await;
    let logs = &server.state.logs;
    say(logs, &id, numbered(0..50)).await;
    let first = page(&client, &id, "page_size=20").await;
    assert_eq!(messages(&first), numbered((30..50).rev()));
    // A client that knows page numbers alone: neither twice nor never, whatever comes meanwhile.
    say(logs, &id, numbered(50..60)).await;
    assert_eq!(messages(&page(&client, &id, "page_size=20&page=2").await), numbered((10..30).rev()));
    say(logs, &id, numbered(60..70)).await;
    let last = page(&client, &id, "page_size=20&page=3").await;
    assert_eq!(
        (messages(&last), &last.body["total_count"]),
        (Vec::from_iter(numbered((0..10).rev()).iter().map(String::as_str)), &json!(50))
    );
    assert_eq!(messages(&page(&client, &id, "page_size=20&page=4").await), [""; 0]);
    // The first page is always new; `before` names another end.
    assert_eq!(messages(&page(&client, &id, "page_size=2").await), ["line 69", "line 68"]);
    let end = first.body["end"].as_str().unwrap();
    let second = page(&client, &id, &format!("page_size=20&page=2&before={end}")).await;
    assert_eq!(messages(&second), numbered((10..30).rev()));
    // Following: what comes after the last line that was seen.
    let seen = first.body["logs"][0]["id"].as_str().unwrap();
    let after = page(&client, &id, &format!("after={seen}&order_by=timestamp_asc&page_size=15")).await;
    assert_eq!(messages(&after), numbered(50..65));
    let seen = after.body["logs"][14]["id"].as_str().unwrap();
    let after = page(&client, &id, &format!("after={seen}&order_by=timestamp_asc")).await;
    assert_eq!(messages(&after), numbered(65..70));
    assert_eq!(messages(&page(&client, &id, "order_by=timestamp_asc&page_size=3").await), numbered(0..3));
}

#[tokio::test]
async fn what_a_query_of_a_log_may_not_say_is_told() {
    let server = Server::start().await;
    let (client, id) = function(&server).await;
    client.get("logs").await.assert_argument("application_id", "required");
    let answer =
        client.get(&format!("logs?application_id={id}&order_by=name_asc&page=0&before=x&after=-1")).await;
    for (name, reason) in
        [("order_by", "unknown"), ("page", "constraint"), ("before", "constraint"), ("after", "constraint")]
    {
        answer.assert_argument(name, reason);
    }
    client.get("logs?application_id=nothing").await.assert_error(404, "not_found");
}

#[tokio::test]
async fn a_log_is_its_tenants_own_and_goes_with_its_application() {
    let server = Server::start().await;
    let (client, id) = function(&server).await;
    let (other, _) = function(&server).await;
    say(&server.state.logs, &id, numbered(0..3)).await;
    let path = format!("logs?application_id={id}");
    other.get(&path).await.assert_error(404, "not_found");
    let folder = server.data().join("logs").join(&client.organization_id).join(&id);
    assert!(folder.is_dir());
    client.delete(&format!("functions/{id}")).await;
    eventually(async || (client.get(&path).await.status == 404).then_some(())).await;
    assert!(!folder.exists());
    // What is still said of it is kept by nobody.
    say(&server.state.logs, &id, numbered(0..3)).await;
    assert!(!folder.exists());

    // A namespace takes the logs of all that is in it along, a container's too.
    let namespace = client.namespace("whole").await;
    let container = client.post("containers", json!({"name": "c", "namespace_id": namespace})).await.id();
    say(&server.state.logs, &container, numbered(0..3)).await;
    assert_eq!(page(&client, &container, "").await.body["total_count"], 3);
    client.delete(&format!("namespaces/{namespace}")).await;
    eventually(async || (client.get(&format!("namespaces/{namespace}")).await.status == 404).then_some(()))
        .await;
    assert!(!server.data().join("logs").join(&client.organization_id).join(&container).exists());
}

#[tokio::test]
async fn what_is_over_the_rate_is_counted_and_told() {
    let rate = Some(LogRate { per_second: 500, burst: 100 });
    let server = Server::with(|config| config.log_limits.rate = rate).await;
    let (client, id) = function(&server).await;
    say(&server.state.logs, &id, numbered(0..1000)).await;
    let found = page(&client, &id, "page_size=100").await;
    assert_eq!(found.body["total_count"], 101);
    assert_eq!(messages(&found)[0], "900 lines dropped: more than 500 a second");
    assert_eq!(found.body["logs"][0]["stream"], "platform");
    // The platform's own words have no rate.
    (0..200).for_each(|_| server.state.logs.event(&id, About::default(), "event"));
    // Another application has its own.
    let namespace = client.namespace("other").await;
    let other = client.function(&namespace, "f").await;
    say(&server.state.logs, &other, numbered(0..100)).await;
    assert_eq!(page(&client, &id, "").await.body["total_count"], 301);
    assert_eq!(page(&client, &other, "").await.body["total_count"], 100);
}

#[tokio::test]
async fn what_is_dropped_is_told_also_when_nothing_else_is_said() {
    let rate = Some(LogRate { per_second: 1, burst: 10 });
    let server = Server::with(|config| config.log_limits.rate = rate).await;
    let (client, id) = function(&server).await;
    let lines = numbered(0..30);
    let said = server.state.logs.said(&id, "i");
    said.lines(lines.iter().map(|line| (line.as_bytes(), read)));
    let newest = eventually(async || {
        let found = page(&client, &id, "page_size=1").await;
        (found.body["total_count"] == 11).then(|| messages(&found)[0].to_owned())
    });
    assert_eq!(newest.await, "20 lines dropped: more than 1 a second");
}

#[tokio::test]
async fn what_is_over_a_budget_goes_oldest_first_and_is_counted() {
    let limits = LogLimits { application_bytes: 64 << 10, rate: None, ..LogLimits::default() };
    let server = Server::with(|config| config.log_limits = limits).await;
    let (client, id) = function(&server).await;
    // Little of it can be compressed.
    let noise = |number: u32| format!("{number} {}", (0..8).map(|_| uuid()).collect::<String>());
    for start in (0..1000).step_by(10) {
        say(&server.state.logs, &id, (start..start + 10).map(noise)).await;
    }
    let oldest = page(&client, &id, "order_by=timestamp_asc&page_size=2").await;
    let [notice, first] = messages(&oldest)[..] else { panic!("{oldest:?}") };
    let removed: u32 = notice.split_once(" lines removed").unwrap().0.parse().unwrap();
    assert!(first.starts_with(&format!("{removed} ")), "{removed}: {first}");
    assert_eq!(oldest.body["total_count"], 1000 - removed + 1);
    let folder = server.data().join("logs").join(&client.organization_id).join(&id);
    let bytes = |folder| -> u64 {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    assert!((32 << 10..=80 << 10).contains(&bytes(&folder)), "{}", bytes(&folder));
}

#[tokio::test]
async fn an_organization_has_a_budget_and_a_line_an_age() {
    let limits = LogLimits { organization_bytes: 20 << 10, rate: None, ..LogLimits::default() };
    let server = Server::with(|config| config.log_limits = limits).await;
    let (client, first) = function(&server).await;
    let namespace = client.namespace("more").await;
    let second = client.function(&namespace, "f").await;
    let (other, theirs) = function(&server).await;
    let lines = || (0..100).map(|number| format!("{number} {}", "x".repeat(100)));
    for id in [&first, &second, &theirs] {
        say(&server.state.logs, id, lines()).await;
        // The clock of file systems is coarse.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.state.logs.turn().await;
    assert_eq!(
        messages(&page(&client, &first, "").await),
        ["100 lines removed: the log is kept for a time and up to a size"]
    );
    assert_eq!(page(&client, &second, "").await.body["total_count"], 100);
    assert_eq!(page(&other, &theirs, "").await.body["total_count"], 100);

    let limits = LogLimits { age: Duration::from_millis(500), ..LogLimits::default() };
    let server = Server::with(|config| config.log_limits = limits).await;
    let (client, id) = function(&server).await;
    say(&server.state.logs, &id, numbered(0..7)).await;
    server.state.logs.turn().await;
    assert_eq!(page(&client, &id, "").await.body["total_count"], 7);
    tokio::time::sleep(Duration::from_millis(600)).await;
    server.state.logs.turn().await;
    say(&server.state.logs, &id, numbered(7..8)).await;
    let left = page(&client, &id, "").await;
    assert_eq!(messages(&left), ["line 7", "7 lines removed: the log is kept for a time and up to a size"]);
}

#[tokio::test]
async fn a_log_is_there_after_a_restart_and_what_belongs_to_nobody_goes() {
    let server = Server::start().await;
    let (client, id) = function(&server).await;
    say(&server.state.logs, &id, numbered(0..10)).await;
    let root = server.data().join("logs");
    let folder = root.join(&client.organization_id).join(&id);
    // A crash in the middle of a record.
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let length = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length - 3).unwrap();
    let orphan = root.join(&client.organization_id).join(uuid());
    fs::create_dir(&orphan).unwrap();

    let again = Logs::new(root, LogLimits::default(), server.state.store.clone());
    again.sweep().await.unwrap();
    assert!(!orphan.exists() && folder.exists());
    say(&again, &id, ["after".to_owned()]).await;
    let tenant = api_server::store::Tenant {
        organization_id: client.organization_id.clone(),
        region: "fr-par".into(),
    };
    let query = api_server::logs::LogQuery {
        order: contract::api::LogOrder::TimestampAsc,
        page: contract::api::Page { number: 1, size: 100 },
        before: None,
        after: None,
    };
    let found = again.page(&tenant, &id, query).await.unwrap();
    let texts: Vec<_> = found.lines.iter().map(|(_, line)| line.text.as_str()).collect();
    let expected = [numbered(0..9), vec!["after".to_owned()]].concat();
    assert_eq!(texts, expected);
}

fn uuid() -> String {
    api_server::store::new_id()
}
