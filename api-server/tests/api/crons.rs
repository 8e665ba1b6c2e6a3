//! Crons: every argument, every answer.

use contract::api::{Cron, CronStatus};
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server};

struct World {
    server: Server,
    client: Client,
    namespace: String,
    function: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let client = server.client().await;
        let namespace = client.namespace("n").await;
        let function = client.function(&namespace, "f").await;
        Self { server, client, namespace, function }
    }

    async fn create(&self, body: Value) -> Answer {
        let mut whole = json!({"application_id": self.function, "schedule": "0 0 * * *"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.client.post("crons", whole).await
    }
}

fn cron(answer: &Answer) -> Cron {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.body.clone()).unwrap()
}

#[tokio::test]
async fn a_cron_is_ready_once_stored_and_answered_whole() {
    let world = World::new().await;
    let created = world.create(json!({"schedule": "*/5 1-3 * * mon", "args": {"a": [1, null]}})).await;
    let keys: Vec<_> = created.body.as_object().unwrap().keys().cloned().collect();
    let expected =
        ["application_id", "args", "id", "last_run", "last_skipped", "next_run", "schedule", "status"];
    assert_eq!(keys, expected, "no key is absent, not even a null one");
    let cron = cron(&created);
    assert_eq!((cron.status, cron.schedule.as_str()), (CronStatus::Ready, "*/5 1-3 * * mon"));
    assert_eq!(Value::Object(cron.args), json!({"a": [1, null]}));
    assert_eq!((cron.application_id, cron.last_run, cron.last_skipped), (world.function, None, None));
    let next: jiff::Timestamp = cron.next_run.unwrap().parse().unwrap();
    assert!(next > jiff::Timestamp::now() && next.as_second() % 300 == 0);
    assert_eq!(world.client.get(&format!("crons/{}", cron.id)).await.body, created.body);
    assert_eq!(world.client.get("crons").await.body, json!({"crons": [created.body], "total_count": 1}));
}

#[tokio::test]
async fn every_argument_that_is_wrong_is_named() {
    let world = World::new().await;
    world
        .client
        .post("crons", json!({}))
        .await
        .assert_argument("application_id", "required")
        .assert_argument("schedule", "required");
    for (name, value) in [
        ("schedule", json!(5)),
        ("schedule", json!("@every 5m")),
        ("schedule", json!("TZ=UTC 0 0 * * *")),
        ("schedule", json!("0 0 0 * * *")),
        ("schedule", json!("0 0 L * *")),
        ("schedule", json!("0 0 31 2 *")),
        ("args", json!([])),
        ("args", json!("{}")),
        ("application_id", json!(1)),
    ] {
        let mut body = json!({});
        body[name] = value;
        let refused = world.create(body.clone()).await;
        refused.assert_argument(name, "constraint");
        assert_ne!(refused.body["details"][0]["help_message"], "", "{refused:?}");
        let created = world.create(json!({})).await.id();
        world.client.patch(&format!("crons/{created}"), body).await.assert_argument(name, "constraint");
    }
    let never = world.create(json!({"schedule": "0 0 30 2 *"})).await;
    assert_eq!(never.body["message"], "schedule: it never comes: no date and time fits it");
    let unknown = "11111111-1111-4111-8111-111111111111";
    let nobody = world.create(json!({"application_id": unknown})).await;
    nobody.assert_error(404, "not_found");
    assert_eq!(nobody.body["resource_id"], unknown);
}

#[tokio::test]
async fn args_are_plain_whichever_form_they_come_in() {
    let world = World::new().await;
    let typed = json!({"fields": {"a": {"string_value": "s"}, "l": {"list_value": {"values": []}}}});
    let created = world.create(json!({"args": typed})).await;
    assert_eq!(created.body["args"], json!({"a": "s", "l": []}));
    let path = format!("crons/{}", created.id());
    let changed = world.client.patch(&path, json!({"args": {"fields": {"n": {"number_value": 7}}}})).await;
    assert_eq!(changed.body["args"], json!({"n": 7}));
    assert_eq!(world.client.patch(&path, json!({"args": null})).await.body["args"], json!({"n": 7}));
    assert_eq!(world.client.patch(&path, json!({"args": {}})).await.body["args"], json!({}));
    let plain = json!({"fields": "plain"});
    assert_eq!(world.create(json!({"args": plain})).await.body["args"], plain);
    assert_eq!(world.create(json!({"args": null})).await.body["args"], json!({}));
}

#[tokio::test]
async fn a_patch_changes_what_it_names_alone() {
    let world = World::new().await;
    let created = world.create(json!({"args": {"a": 1}})).await;
    let path = format!("crons/{}", created.id());
    let same = world.client.patch(&path, json!({"schedule": null, "application_id": "", "name": "x"})).await;
    assert_eq!(same.body, created.body);
    // Half past the hour is never midnight.
    let hourly = json!("30 * * * *");
    let changed = world.client.patch(&path, json!({"schedule": hourly})).await;
    assert_eq!((&changed.body["schedule"], &changed.body["args"]), (&hourly, &json!({"a": 1})));
    assert_ne!(changed.body["next_run"], created.body["next_run"]);

    let other = world.client.namespace("other").await;
    let other = world.client.function(&other, "f").await;
    let moved = world.client.patch(&path, json!({"application_id": other})).await;
    assert_eq!(moved.body["application_id"], json!(other));
    let stranger = world.server.client().await;
    let foreign = stranger.namespace("n").await;
    let foreign = stranger.function(&foreign, "f").await;
    world.client.patch(&path, json!({"application_id": foreign})).await.assert_error(404, "not_found");
    assert_eq!(world.client.get(&path).await.body, moved.body);
}

#[tokio::test]
async fn a_deleted_cron_is_gone() {
    let world = World::new().await;
    let path = format!("crons/{}", world.create(json!({})).await.id());
    let deleted = world.client.delete(&path).await;
    assert_eq!((&deleted.body["status"], &deleted.body["next_run"]), (&json!("deleting"), &Value::Null));
    world.client.get(&path).await.assert_error(404, "not_found");
    world.client.delete(&path).await.assert_error(404, "not_found");
    world.client.patch(&path, json!({})).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn crons_go_with_their_function_and_with_its_namespace() {
    let world = World::new().await;
    let other = world.client.function(&world.namespace, "other").await;
    let (first, second) = (world.create(json!({})).await.id(), world.create(json!({})).await.id());
    let third = world.create(json!({"application_id": other})).await.id();
    assert_eq!(world.client.delete(&format!("functions/{}", world.function)).await.status, 200);
    // It may be gone already.
    let refused = world.create(json!({})).await;
    assert!([404, 409].contains(&refused.status.as_u16()), "{refused:?}");
    for gone in [first, second] {
        gone_soon(&world.client, &gone).await;
    }
    assert_eq!(world.client.get(&format!("crons/{third}")).await.status, 200);
    assert_eq!(world.client.delete(&format!("namespaces/{}", world.namespace)).await.status, 200);
    gone_soon(&world.client, &third).await;
}

#[tokio::test]
async fn containers_have_crons_too_and_take_them_along() {
    let world = World::new().await;
    let body = json!({"name": "c", "namespace_id": world.namespace});
    let container = world.client.post("containers", body).await.id();
    let id = world.create(json!({"application_id": container})).await.id();
    let moved = world.create(json!({})).await.id();
    let change = json!({"application_id": container});
    world.client.patch(&format!("crons/{moved}"), change).await.id();
    let of_it = world.client.get(&format!("crons?application_id={container}")).await;
    assert_eq!(of_it.body["total_count"], 2);
    let (container, stays) = (format!("containers/{container}"), world.create(json!({})).await.id());
    world.client.delete(&container).await.id();
    for gone in [&id, &moved] {
        gone_soon(&world.client, gone).await;
    }
    assert_eq!(world.client.get(&format!("crons/{stays}")).await.status, 200);
    let stranger = world.server.client().await;
    let foreign = json!({"name": "c", "namespace_id": stranger.namespace("n").await});
    let foreign = stranger.post("containers", foreign).await.id();
    let refused = world.create(json!({"application_id": foreign})).await;
    refused.assert_error(404, "not_found");
}

async fn gone_soon(client: &Client, cron: &str) {
    crate::harness::eventually(async || {
        (client.get(&format!("crons/{cron}")).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_deleted_or_locked_bears_no_cron() {
    let world = World::new().await;
    let cron = world.create(json!({})).await.id();
    for (state, status, kind) in [("locked", 423, "locked"), ("deleting", 409, "transient_state")] {
        let id = world.function.clone();
        let write = world.server.state.store.write("function.update", async |tx| {
            let sql = "UPDATE applications SET state = $1 WHERE id = $2";
            sqlx::query(sql).bind(state).bind(id).execute(tx).await?;
            Ok(())
        });
        write.await.unwrap();
        world.create(json!({})).await.assert_error(status, kind);
        world.client.patch(&format!("crons/{cron}"), json!({})).await.assert_error(status, kind);
    }
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_cut_into_pages() {
    let world = World::new().await;
    let other = world.client.function(&world.namespace, "other").await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(world.create(json!({})).await.id());
    }
    let elsewhere = world.create(json!({"application_id": other})).await.id();
    let ids = async |query: &str| {
        let answer = world.client.get(&format!("crons?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let rows = answer.body["crons"].as_array().unwrap().iter().map(|row| row["id"].clone());
        (rows.collect::<Vec<_>>(), answer.body["total_count"].clone())
    };
    assert_eq!(ids(&format!("application_id={}", world.function)).await, (values(&made), json!(3)));
    assert_eq!(ids(&format!("application_id={other}")).await.0, values(std::slice::from_ref(&elsewhere)));
    let newest = ids("order_by=created_at_desc&page_size=2").await;
    assert_eq!(newest, (values(&[elsewhere, made[2].clone()]), json!(4)));
    assert_eq!(ids("page=3&page_size=2").await, (vec![], json!(4)));
    world.client.get("crons?order_by=name_asc").await.assert_argument("order_by", "unknown");
    assert_eq!(world.server.client().await.get("crons").await.body["total_count"], 0);
}

fn values(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| json!(id)).collect()
}

#[tokio::test]
async fn an_organization_may_have_so_many_crons_and_no_more() {
    let server = Server::with(|config| config.quotas.crons = 2).await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let function = client.function(&namespace, "f").await;
    let body = json!({"application_id": function, "schedule": "@daily"});
    let first = client.post("crons", body.clone()).await.id();
    client.post("crons", body.clone()).await.id();
    let refused = client.post("crons", body.clone()).await;
    refused.assert_error(403, "quotas_exceeded");
    assert_eq!(refused.body["details"], json!([{"resource": "cron", "quota": 2, "current": 2}]));
    client.delete(&format!("crons/{first}")).await.id();
    client.post("crons", body).await.id();
}
