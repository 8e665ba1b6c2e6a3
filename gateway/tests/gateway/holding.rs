//! Waiting for a slot: starts, order, refusals, idleness.

use std::sync::Arc;
use std::time::Duration;

use gateway::{Program, Revision, RouteState, StartFailureKind};

use crate::world::{World, revision};

#[tokio::test]
async fn addresses_without_a_function_are_told_apart() {
    let world = World::new(|_| {});
    let of = |answer: crate::world::Answer| {
        (answer.status, answer.trouble(), !answer.header("retry-after").is_empty())
    };
    assert_eq!(of(world.get("/").await), (404, "not_found".into(), false));
    world.route(RouteState::NeverDeployed);
    assert_eq!(of(world.get("/").await), (404, "not_found".into(), false));
    world.route(RouteState::Deploying);
    assert_eq!(of(world.get("/").await), (503, "not_ready".into(), true));
    world.route(RouteState::DeployFailed { message: "the build failed".into() });
    let failed = world.get("/").await;
    assert!(failed.body.contains("the build failed"));
    assert_eq!(of(failed), (503, "deploy_failed".into(), false));
    world.gateway.restore(Arc::new(revision("r1")));
    assert_eq!(world.get("/").await.status, 200, "an older version goes on");
    world.route(RouteState::Locked);
    assert_eq!(of(world.get("/").await), (404, "not_found".into(), false));
    world.route(RouteState::NeverDeployed);
    assert_eq!(world.get("/").await.status, 200, "unlocked");
    world.gateway.remove(crate::world::FUNCTION).await;
    assert_eq!(of(world.get("/").await), (404, "not_found".into(), false));
    assert_eq!(world.stopped(), world.started());
}

#[tokio::test]
async fn a_trouble_is_told_of_what_was_called() {
    for (program, what) in [(Program::Function, "function"), (Program::Container, "container")] {
        let world = World::serving(Revision { program, ..revision("r1") });
        world.fail_next(StartFailureKind::Function);
        let failed = world.get("/").await;
        assert_eq!((failed.status, failed.trouble().as_str()), (503, "start_failed"));
        assert!(failed.body.contains(&format!("the {what} does not start")), "{}", failed.body);
    }
}

#[tokio::test]
async fn a_request_is_held_while_its_instance_starts_and_told_what_that_took() {
    let world = Arc::new(World::serving(revision("r1")));
    world.fake.starts.forget_permits(1000);
    let (one, two) = (world.spawn("/"), world.spawn("/"));
    world.until("both wait", |world| world.waiting() == 2).await;
    assert_eq!(world.started().len(), 1, "one start for both");
    world.fake.starts.add_permits(1);
    for answer in [one.await.unwrap(), two.await.unwrap()] {
        assert_eq!(answer.status, 200);
        let timing = answer.header("server-timing");
        let names: Vec<_> = timing.split(", ").map(|entry| entry.split(";dur=").next().unwrap()).collect();
        assert_eq!(names, ["queue", "start", "create", "handler"], "{timing}");
    }
    assert_eq!(world.get("/").await.header("server-timing"), "", "a warm one has nothing to tell");
    let first_answers = world.fake.seen.lock().unwrap().first_answers.clone();
    assert_eq!(first_answers, world.started(), "told once");
}

#[tokio::test]
async fn first_come_first_served() {
    let world = Arc::new(World::serving(revision("r1")));
    let mut requests = vec![];
    for number in 0..5 {
        requests.push(world.spawn(&format!("/hold?{number}")));
        world.until("it arrives", |world| world.waiting() + world.in_flight() as usize == number + 1).await;
    }
    world.fake.gate.add_permits(5);
    for request in requests {
        assert_eq!(request.await.unwrap().status, 200);
    }
    assert_eq!(world.fake.asked(), (0..5).map(|n| format!("/hold?{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_queue_has_a_bound_and_a_deadline() {
    let world = Arc::new(World::new(|config| {
        config.queue_bound = 1;
        config.queue_deadline = Duration::from_millis(50);
    }));
    world.gateway.restore(Arc::new(revision("r1")));
    let first = world.spawn("/hold");
    world.until("it has the slot", |world| world.fake.asked().len() == 1).await;
    let second = world.spawn("/");
    world.until("it waits", |world| world.waiting() == 1).await;
    let third = world.get("/").await;
    assert_eq!((third.status, third.trouble().as_str()), (429, "too_many_requests"));
    assert_eq!(third.header("retry-after"), "1");
    let second = second.await.unwrap();
    assert_eq!((second.status, second.header("retry-after")), (429, "1"), "its deadline passed");
    world.fake.gate.add_permits(1);
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_given_up() {
    let world = World::new(|config| config.start_limit = Duration::from_millis(30));
    world.gateway.restore(Arc::new(revision("r1")));
    world.fake.starts.forget_permits(1000);
    let answer = world.get("/").await;
    assert_eq!((answer.status, answer.trouble().as_str()), (503, "start_failed"));
    world.until("it is stopped", |world| world.stopped() == world.started()).await;
}

#[tokio::test]
async fn a_failed_start_is_answered_with_its_class_and_pauses() {
    let world = World::new(|config| config.backoff_first = Duration::from_millis(1500));
    world.gateway.restore(Arc::new(revision("r1")));
    world.fail_next(StartFailureKind::Function);
    let answer = world.get("/").await;
    assert_eq!((answer.status, answer.trouble().as_str()), (503, "start_failed"));
    assert_eq!(answer.header("retry-after"), "2");
    assert!(answer.body.contains("it failed before it was ready; its logs say more"), "{}", answer.body);
    let again = world.get("/").await;
    assert_eq!((again.status, world.started().len()), (503, 1), "no second start during the pause");
}

#[tokio::test]
async fn after_the_pause_it_is_started_again() {
    let world = World::new(|config| config.backoff_first = Duration::from_millis(20));
    world.gateway.restore(Arc::new(revision("r1")));
    world.fail_next(StartFailureKind::Platform);
    assert_eq!(world.get("/").await.status, 503);
    let answered = async {
        while world.get("/").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answered).await.expect("served after the pause");
    assert_eq!(world.started().len(), 2);
}

#[tokio::test]
async fn the_idle_are_stopped_and_started_again_when_a_request_comes() {
    let world = World::new(|config| config.idle = Duration::from_millis(20));
    world.gateway.restore(Arc::new(revision("r1")));
    assert_eq!(world.get("/").await.status, 200);
    world.until("it is stopped", |world| world.stopped().len() == 1).await;
    assert_eq!(world.get("/").await.status, 200);
    assert_eq!(world.started().len(), 2);
}

#[tokio::test]
async fn min_scale_starts_without_a_request_and_keeps_the_idle() {
    let world = World::new(|config| {
        config.idle = Duration::from_millis(5);
        config.backoff_first = Duration::from_millis(5);
    });
    world.gateway.restore(Arc::new(gateway::Revision { min_scale: 1, ..revision("r1") }));
    world.until("it is started", |world| world.started().len() == 1).await;
    assert_eq!(world.get("/").await.status, 200);
    let first = world.started()[0].clone();
    world.fake.kill(&first);
    world.gateway.instance_exited(&first, "signal 9", false);
    world.until("another one", |world| world.started().len() == 2).await;
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_leaves_no_trace() {
    let world = Arc::new(World::serving(revision("r1")));
    let first = world.spawn("/hold");
    world.until("it has the slot", |world| world.fake.asked().len() == 1).await;
    let second = world.spawn("/second");
    world.until("it waits", |world| world.waiting() == 1).await;
    second.abort();
    world.until("it is out", |world| world.waiting() == 0).await;
    world.fake.gate.add_permits(1);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(world.get("/third").await.status, 200);
    assert_eq!(world.fake.asked(), ["/hold", "/third"]);
}

#[tokio::test]
async fn the_whole_machine_has_a_bound_too() {
    let world = Arc::new(World::new(|config| config.machine_queue_bound = 1));
    world.gateway.restore(Arc::new(revision("r1")));
    world.fake.starts.forget_permits(1000);
    let first = world.spawn("/");
    world.until("it waits", |world| world.waiting() == 1).await;
    assert_eq!(world.get("/").await.trouble(), "machine_full");
    world.fake.starts.add_permits(1);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn shutdown_finishes_what_runs_and_refuses_what_waits() {
    let world = Arc::new(World::serving(revision("r1")));
    let running = world.spawn("/hold");
    world.until("it runs", |world| world.fake.asked().len() == 1).await;
    let waiting = world.spawn("/");
    world.until("it waits", |world| world.waiting() == 1).await;
    let ending = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.gateway.shutdown(Duration::from_secs(10)).await })
    };
    assert_eq!(waiting.await.unwrap().trouble(), "shutting_down");
    assert!(world.stopped().is_empty());
    world.fake.gate.add_permits(1);
    assert_eq!(running.await.unwrap().status, 200);
    assert_eq!(ending.await.unwrap(), Ok(()));
    assert_eq!(world.stopped(), world.started());
    assert_eq!(world.get("/").await.status, 503);
}
