//! What ticks: the scheduler with a clock of the test's own, over the real store.

use std::sync::{Arc, Mutex};

use api_server::{
    crons::{Caller, Scheduler},
    store::{Call, End, Start, Tick},
};
use contract::api::CronRunState;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Client, Server, eventually};

const MINUTE: i64 = 60_000;
/// 2030-01-01T00:00:00Z: the crons are made long before.
const START: i64 = 1_893_456_000_000;
/// By when a tick of the same minute is acted on.
const SPREAD: i64 = 1000;

/// Keeps what it was to call; each call takes a place and ends with it.
struct Calls {
    sent: Mutex<Vec<Call>>,
    places: Semaphore,
}

impl Calls {
    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { sent: Mutex::default(), places: Semaphore::new(places) })
    }

    /// The minutes of the ticks that were called for.
    fn minutes(&self) -> Vec<i64> {
        self.sent.lock().unwrap().iter().map(|call| (call.tick - START) / MINUTE).collect()
    }
}

/// [`Calls`] as the scheduler has it.
struct Handle(Arc<Calls>);

impl Caller for Handle {
    fn call(&self, call: Call) -> BoxFuture<'static, End> {
        let calls = Arc::clone(&self.0);
        Box::pin(async move {
            calls.sent.lock().unwrap().push(call);
            calls.places.acquire().await.unwrap().forget();
            let (state, status_code) = (CronRunState::Failed, Some(418));
            End { state, status_code, error_message: "x".repeat(1000) }
        })
    }
}

struct World {
    server: Server,
    client: Client,
    calls: Arc<Calls>,
    scheduler: Scheduler,
    cron: String,
}

impl World {
    async fn new(places: usize) -> Self {
        let server = Server::start().await;
        let client = server.client().await;
        let namespace = client.namespace("n").await;
        let function = client.function(&namespace, "f").await;
        let body = json!({"application_id": function, "schedule": "* * * * *", "args": {"job": "clean"}});
        let cron = client.post("crons", body).await.id();
        let calls = Calls::new(places);
        let scheduler = restore(&server, &calls, START).await;
        Self { server, client, calls, scheduler, cron }
    }

    /// The minute's ticks have come, and what they called has ended.
    async fn minute(&mut self, minute: i64) {
        self.scheduler.turn(START + minute * MINUTE + SPREAD);
        self.scheduler.settle().await;
    }

    async fn read(&self) -> Value {
        self.client.get(&format!("crons/{}", self.cron)).await.body
    }
}

async fn restore(server: &Server, calls: &Arc<Calls>, now: i64) -> Scheduler {
    let caller = Arc::new(Handle(Arc::clone(calls)));
    Scheduler::restore(server.state.clone(), caller, now).await.unwrap()
}

#[tokio::test]
async fn a_tick_calls_with_the_arguments_and_what_came_of_it_can_be_read() {
    let mut world = World::new(1).await;
    world.minute(0).await;
    assert_eq!(world.calls.minutes(), [0_i64; 0], "what ticks at the start's own instant was before");
    world.minute(1).await;
    let call = world.calls.sent.lock().unwrap()[0].clone();
    assert_eq!((Value::Object(call.args), call.is_private), (json!({"job": "clean"}), false));
    assert_eq!((call.tick, call.timeout_ms), (START + MINUTE, 300_000));
    let run = world.read().await["last_run"].clone();
    assert_eq!((&run["tick"], &run["state"]), (&json!("2030-01-01T00:01:00Z"), &json!("failed")), "{run}");
    assert_eq!((&run["status_code"], &run["request_id"]), (&json!(418), &json!(call.request_id)));
    assert_eq!(run["error_message"].as_str().unwrap().len(), 500, "long ones are cut");
    assert!(run["started"].is_string() && run["ended"].is_string(), "{run}");
}

#[tokio::test]
async fn while_a_call_runs_the_next_tick_is_skipped_and_that_is_written_down() {
    let mut world = World::new(0).await;
    for minute in 1..=3 {
        world.scheduler.turn(START + minute * MINUTE + SPREAD);
        let skipped = (minute > 1).then(|| format!("2030-01-01T00:0{minute}:00Z"));
        eventually(async || {
            let cron = world.read().await;
            let seen = cron["last_run"]["state"] == "running" && cron["last_skipped"] == json!(skipped);
            seen.then_some(())
        })
        .await;
    }
    assert_eq!(world.calls.minutes(), [1]);
    world.calls.places.add_permits(2);
    world.scheduler.settle().await;
    assert_eq!(world.read().await["last_run"]["state"], "failed");
    world.minute(4).await;
    assert_eq!(world.calls.minutes(), [1, 4]);
}

#[tokio::test]
async fn no_tick_is_called_twice_whatever_the_clock_and_the_server_do() {
    let mut world = World::new(100).await;
    world.minute(1).await;
    world.minute(2).await;
    // Another server over the same store, whose clock is behind.
    let mut again = restore(&world.server, &world.calls, START).await;
    for minute in 1..=3 {
        again.turn(START + minute * MINUTE + SPREAD);
        again.settle().await;
    }
    // Two at once, of which one comes first.
    world.scheduler.turn(START + 4 * MINUTE + SPREAD);
    again.turn(START + 4 * MINUTE + SPREAD);
    tokio::join!(world.scheduler.settle(), again.settle());
    assert_eq!(world.calls.minutes(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_call_that_a_dead_server_left_is_unknown_and_not_repeated() {
    let mut world = World::new(0).await;
    world.scheduler.turn(START + MINUTE + SPREAD);
    eventually(async || (world.read().await["last_run"]["state"] == "running").then_some(())).await;
    // As a kill does: nothing of it goes on.
    world.scheduler = restore(&world.server, &world.calls, START).await;
    let run = world.read().await["last_run"].clone();
    assert_eq!(
        (&run["state"], &run["ended"], &run["status_code"]),
        (&json!("unknown"), &Value::Null, &Value::Null)
    );
    world.calls.places.add_permits(1);
    world.minute(1).await;
    assert_eq!(world.calls.minutes(), [1]);
    world.minute(2).await;
    assert_eq!(world.calls.minutes(), [1, 2]);
}

#[tokio::test]
async fn a_run_whose_end_was_never_written_blocks_the_cron_for_a_while_only() {
    let mut world = World::new(0).await;
    world.scheduler.turn(START + MINUTE + SPREAD);
    eventually(async || (world.read().await["last_run"]["state"] == "running").then_some(())).await;
    // Time limit and allowance are over.
    let minute = 1 + 300_000 / MINUTE + 4;
    world.calls.places.add_permits(1);
    world.scheduler.turn(START + minute * MINUTE + SPREAD);
    eventually(async || (world.calls.minutes() == [1, minute]).then_some(())).await;
}

#[tokio::test]
async fn a_changed_schedule_counts_from_now_and_a_deleted_cron_ticks_no_more() {
    let mut world = World::new(100).await;
    let path = format!("crons/{}", world.cron);
    world.client.patch(&path, json!({"schedule": "*/2 * * * *"})).await.id();
    // Not told yet: the tick of the old schedule is none any more.
    world.minute(1).await;
    assert!(world.scheduler.reload(START + MINUTE).await);
    for minute in 1..=4 {
        world.minute(minute).await;
    }
    assert_eq!(world.calls.minutes(), [2, 4]);
    world.client.delete(&path).await.id();
    world.minute(6).await;
    assert!(world.scheduler.reload(START + 6 * MINUTE).await);
    world.minute(8).await;
    assert_eq!(world.calls.minutes(), [2, 4]);
}

#[tokio::test]
async fn the_last_hundred_runs_are_kept() {
    let mut world = World::new(1000).await;
    for minute in 1..=105 {
        world.minute(minute).await;
    }
    assert_eq!(world.calls.minutes().len(), 105);
    let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM cron_runs");
    assert_eq!(count.fetch_one(world.server.state.store.readers()).await.unwrap(), 100);
    assert_eq!(world.read().await["last_run"]["tick"], "2030-01-01T01:45:00Z");
}

#[tokio::test]
async fn a_start_that_may_have_been_written_is_asked_for_again_and_is_one_run() {
    let world = World::new(1).await;
    let store = &world.server.state.store;
    let tick = Tick { cron_id: world.cron.clone(), schedule: "* * * * *".into(), at: START };
    let first = store.start_run(&tick, START, MINUTE, "mine").await.unwrap();
    assert!(matches!(first, Start::Run(_)), "{first:?}");
    assert_eq!(store.start_run(&tick, START, MINUTE, "mine").await.unwrap(), first);
    assert_eq!(store.start_run(&tick, START, MINUTE, "another's").await.unwrap(), Start::Nothing);
    let Start::Run(call) = first else { unreachable!() };
    let end = End { state: CronRunState::Succeeded, status_code: Some(200), error_message: String::new() };
    store.finish_run(&call, &end, START + 1).await.unwrap();
    // What has ended is not sent once more.
    assert_eq!(store.start_run(&tick, START, MINUTE, "mine").await.unwrap(), Start::Nothing);
    let cron = world.client.get(&format!("crons/{}", world.cron)).await;
    assert_eq!(cron.body["last_run"]["state"], "succeeded");
}
