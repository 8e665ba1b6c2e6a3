//! `zipship cron` against the API, which is served from here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use reqwest::Method;
use serde_json::json;

use crate::harness::{Served, error};

#[tokio::test(flavor = "multi_thread")]
async fn crons_are_made_listed_changed_and_deleted() {
    let served = Served::start().await;
    let function = served.function().await;
    let made =
        served.json(&["cron", "create", &function, "--schedule", "0 9 * * mon-fri", "--args", r#"{"a": 1}"#]);
    assert_eq!((&made["schedule"], &made["args"]), (&json!("0 9 * * mon-fri"), &json!({"a": 1})));
    let id = made["id"].as_str().unwrap();
    assert_eq!(served.json(&["cron", "get", id]), made);
    assert_eq!(served.json(&["cron", "list"]), json!([made]));
    let changed = served.json(&["cron", "update", id, "--schedule", "@daily"]);
    assert_eq!((&changed["schedule"], &changed["args"]), (&json!("@daily"), &json!({"a": 1})));

    let table = served.said(&["cron", "list", "--application", &function]);
    let [head, row] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    assert!(head.starts_with("id ") && row.starts_with(id) && row.ends_with("never"), "{table}");
    assert_eq!(
        served.json(&["cron", "list", "--application", id]),
        json!([]),
        "nothing of that id is called"
    );
    let shown = served.said(&["cron", "get", id]);
    assert!(shown.contains("schedule     @daily\nargs         {\"a\":1}\n"), "{shown}");
    assert_eq!(served.said(&["cron", "delete", id]), format!("deleted {id}\n"));
    assert!(error(&served.run(&["cron", "get", id])).contains(&format!("cron {id} was not found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_several_pages_is_whole() {
    let served = Served::start().await;
    let function = served.function().await;
    for _ in 0..101 {
        served.ask(Method::POST, "crons", json!({"application_id": function, "schedule": "@daily"})).await;
    }
    assert_eq!(served.json(&["cron", "list"]).as_array().unwrap().len(), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_in_the_servers_words() {
    let served = Served::start().await;
    let function = served.function().await;
    let refused = error(&served.run(&["cron", "create", &function, "--schedule", "0 0 31 2 *"]));
    assert_eq!(refused, "error: schedule: it never comes: no date and time fits it\n");
    let without = error(&served.command(&["cron", "list"]).output().unwrap());
    assert!(without.contains("set $ZIPSHIP_API_KEY"), "{without}");
    let file = served.folder.path().join("credentials.json");
    let with_file = served.command(&["cron", "list", "--json", "--credentials"]).arg(file).output().unwrap();
    assert_eq!(String::from_utf8(with_file.stdout).unwrap(), "[]\n");
    let wrong = served.command(&["cron", "list"]).env("ZIPSHIP_API_KEY", "x").output().unwrap();
    assert!(error(&wrong).contains("the API key in X-Auth-Token is unknown"));
    let nowhere =
        served.command(&["cron", "list", "--url", "http://127.0.0.1:9"]).env("ZIPSHIP_API_KEY", "x").output();
    let told = error(&nowhere.unwrap());
    assert!(told.starts_with("error: no server can be reached at http://127.0.0.1:9 (--url"), "{told}");
    let no_object = served.run(&["cron", "create", &function, "--args", "[]"]);
    assert_eq!(no_object.status.code(), Some(2));
}
