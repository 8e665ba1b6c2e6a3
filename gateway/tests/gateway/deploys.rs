//! Two revisions of one function.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway::{NotPrepared, Revision, StartFailureKind};

use crate::world::{World, revision};

#[tokio::test]
async fn what_was_prepared_serves_after_the_switch_and_not_before() {
    let world = World::new(|config| config.idle = Duration::from_millis(5));
    let gateway = &world.gateway;
    assert_eq!(gateway.switch("r1"), Err(NotPrepared("r1".into())));
    gateway.prepare(Arc::new(revision("r1"))).await.unwrap();
    assert_eq!(world.get("/hold").await.status, 404, "nothing is live yet");
    gateway.switch("r1").unwrap();
    world.fake.gate.add_permits(1);
    assert_eq!(world.get("/hold").await.body, "r1");
    assert_eq!(gateway.switch("r1"), Ok(()), "twice is once");
}

#[tokio::test]
async fn a_revision_that_does_not_start_leaves_the_live_one_alone() {
    let world = World::serving(revision("r1"));
    world.fake.gate.add_permits(1);
    world.fail_next(StartFailureKind::Function);
    let failure = world.gateway.prepare(Arc::new(revision("r2"))).await.unwrap_err();
    assert_eq!(failure.message, "ImportError: SECRET", "the owner is told the cause");
    assert!(world.gateway.switch("r2").is_err());
    assert_eq!(world.get("/hold").await.body, "r1");
}

#[tokio::test]
async fn what_is_discarded_is_stopped_even_while_it_starts() {
    let world = Arc::new(World::serving(revision("r1")));
    world.gateway.prepare(Arc::new(revision("r2"))).await.unwrap();
    world.gateway.discard("r2");
    world.until("it is stopped", |world| world.stopped() == world.started()).await;
    world.fake.starts.forget_permits(1000);
    let preparing = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.gateway.prepare(Arc::new(revision("r3"))).await })
    };
    world.until("it starts", |world| world.started().len() == 2).await;
    world.gateway.discard("r3");
    assert_eq!(preparing.await.unwrap().unwrap_err().kind, StartFailureKind::Abandoned);
    world.fake.starts.add_permits(1);
    // Once when it was discarded, once more when its start had come to its end.
    world.until("it is stopped", |world| world.stopped().len() == 3).await;
    world.until("nothing is left", |world| world.gateway.snapshot().functions[0].instances.is_empty()).await;
}

#[tokio::test]
async fn at_the_switch_those_that_wait_move_in_order_and_those_that_run_finish() {
    let world = Arc::new(World::serving(revision("r1")));
    let old = world.spawn("/hold?old");
    world.until("it runs", |world| world.fake.asked().len() == 1).await;
    let mut moved = vec![];
    for number in 0..3 {
        moved.push(world.spawn(&format!("/hold?{number}")));
        world.until("it waits", |world| world.waiting() == number + 1).await;
    }
    world.gateway.prepare(Arc::new(revision("r2"))).await.unwrap();
    world.gateway.switch("r2").unwrap();
    world.fake.gate.add_permits(4);
    assert_eq!(old.await.unwrap().body, "r1");
    for request in moved {
        assert_eq!(request.await.unwrap().body, "r2");
    }
    assert_eq!(world.fake.asked(), ["/hold?old", "/hold?0", "/hold?1", "/hold?2"]);
    world.until("the old one is stopped", |world| world.stopped() == world.started()[..1]).await;
}

#[tokio::test]
async fn an_old_revision_may_finish_up_to_its_timeout() {
    let world = Arc::new(World::new(|config| config.timeout_slack = Duration::from_millis(20)));
    world.gateway.restore(Arc::new(Revision { timeout: Duration::from_millis(50), ..revision("r1") }));
    let response = world
        .send(World::request("/stream").body(http_body_util::Full::<bytes::Bytes>::default()).unwrap())
        .await;
    world.gateway.restore(Arc::new(revision("r2")));
    assert!(world.stopped().is_empty());
    world.until("it is stopped", |world| world.stopped().len() == 1).await;
    assert!(http_body_util::BodyExt::collect(response.into_body()).await.is_err(), "its answer was cut");
}

#[tokio::test]
async fn redeploys_under_load_lose_no_request() {
    let world = Arc::new(World::serving(Revision { max_concurrency: Some(3), ..revision("r0") }));
    world.fake.gate.add_permits(100_000);
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (world, done) = (Arc::clone(&world), Arc::clone(&done));
            tokio::spawn(async move {
                let mut newest = 0;
                let mut answers = 0;
                while !done.load(Ordering::Relaxed) {
                    let answer = world.get("/hold").await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    let version: u32 = answer.body[1..].parse().unwrap();
                    assert!(version >= newest, "an older revision answered after a newer one");
                    newest = version;
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for number in 1..=20 {
        let next = Revision { max_concurrency: Some(3), ..revision(&format!("r{number}")) };
        world.gateway.prepare(Arc::new(next)).await.unwrap();
        world.gateway.switch(&format!("r{number}")).unwrap();
        let asked = world.fake.asked().len();
        world.until("requests pass", |world| world.fake.asked().len() > asked + 20).await;
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    world.until("the old ones are stopped", |world| world.stopped().len() == 20).await;
    assert_eq!(world.in_flight(), 0);
}
