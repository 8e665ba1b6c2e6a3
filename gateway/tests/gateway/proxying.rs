//! What crosses the gateway, and what happens when an instance or a caller does not play along.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::{BodyError, Revision};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};

use crate::world::{World, revision};

#[tokio::test]
async fn an_instance_sees_the_request_as_it_was_but_for_what_the_gateway_says() {
    let world = World::serving(revision("r1"));
    let request = World::request("/a%20b?x=1&x=2&y=")
        .header("x-request-id", "mine")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-zipship-probe", "guess")
        .header("connection", "close")
        .body(Full::default())
        .unwrap();
    let answer = world.ask(request).await;
    let mut lines = answer.body.lines();
    assert_eq!(lines.next(), Some("/a%20b?x=1&x=2&y="));
    let mut headers: Vec<_> = lines.collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "host: example.org",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: example.org",
            &format!("x-forwarded-prefix: /f/{}", crate::world::FUNCTION),
            "x-forwarded-proto: http",
            "x-request-id: mine",
        ]
    );
    assert_eq!(answer.header("x-request-id"), "mine");
}

#[tokio::test]
async fn requests_are_counted_where_they_end_and_probes_are_not() {
    let world = World::serving(revision("r1"));
    for _ in 0..3 {
        world.get("/").await;
    }
    world.gateway.expect_probe(crate::world::FUNCTION, "nonce");
    world.ask(World::request("/").header("x-zipship-probe", "nonce").body(Full::default()).unwrap()).await;
    assert_eq!(world.get("/die").await.status, 502);
    let taken = world.gateway.take_usage();
    let [(function, used)] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(function, crate::world::FUNCTION);
    assert_eq!((used.invocations, used.errors, used.cold_starts), (4, 1, 1));
    assert!(used.duration_ms >= 4 && used.memory_mb_ms == used.duration_ms * 128, "{used:?}");
    assert_eq!(world.gateway.take_usage(), [], "each number is given away once");
}

#[tokio::test]
async fn an_empty_path_is_a_slash() {
    let world = World::serving(revision("r1"));
    assert!(world.get("").await.body.starts_with("/\n"));
    assert!(world.get("?a=1").await.body.starts_with("/?a=1\n"));
}

#[tokio::test]
async fn a_caller_sees_the_answer_without_what_is_not_for_it() {
    let world = World::serving(revision("r1"));
    let answer = world.get("/headers").await;
    for name in ["connection", "x-mine", "keep-alive", "x-zipship-error", "x-zipship-revision"] {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    assert_eq!(answer.header("x-kept"), "1");
    assert_eq!(answer.header("x-request-id").len(), 36, "the gateway's own");
}

#[tokio::test]
async fn a_probe_is_let_through_with_its_nonce_alone_and_says_who_answered() {
    let world = World::serving(revision("r1"));
    world.gateway.expect_probe(crate::world::FUNCTION, "nonce");
    let probe =
        |nonce: &str| World::request("/").header("x-zipship-probe", nonce).body(Full::default()).unwrap();
    let answer = world.ask(probe("nonce")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("x-zipship-revision"), "r1");
    assert_eq!(answer.header("x-zipship-image"), "sha256:r1");
    let guessed = world.ask(probe("guess")).await;
    assert_eq!((guessed.status, guessed.header("x-zipship-revision")), (200, ""));
    world.gateway.forget_probe(crate::world::FUNCTION, "older");
    assert_eq!(world.ask(probe("nonce")).await.status, 204);
    world.gateway.forget_probe(crate::world::FUNCTION, "nonce");
    assert_eq!(world.ask(probe("nonce")).await.status, 200);
}

#[tokio::test]
async fn a_busy_function_can_be_probed() {
    let world = Arc::new(World::serving(revision("r1")));
    let busy = world.spawn("/hold");
    world.until("it is busy", |world| world.fake.asked().len() == 1).await;
    world.gateway.expect_probe(crate::world::FUNCTION, "nonce");
    let probe = World::request("/").header("x-zipship-probe", "nonce").body(Full::default()).unwrap();
    assert_eq!(world.ask(probe).await.status, 204);
    world.fake.gate.add_permits(1);
    assert_eq!(busy.await.unwrap().status, 200);
}

#[tokio::test]
async fn an_answer_is_streamed_and_its_end_returns_the_slot() {
    let world = Arc::new(World::serving(revision("r1")));
    let mut response = world.send(World::request("/stream").body(Full::default()).unwrap()).await;
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first", "before the second is made");
    assert_eq!(world.in_flight(), 1);
    world.fake.gate.add_permits(1);
    assert_eq!(response.collect().await.unwrap().to_bytes(), "second");
    assert_eq!(world.in_flight(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_the_answer_returns_the_slot() {
    let world = World::serving(revision("r1"));
    let response = world.send(World::request("/stream").body(Full::default()).unwrap()).await;
    assert_eq!(world.in_flight(), 1);
    drop(response);
    assert_eq!(world.in_flight(), 0);
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_returns_the_slot_when_the_instance_is_done() {
    let world = Arc::new(World::serving(revision("r1")));
    let gone = world.spawn("/hold");
    world.until("it runs", |world| world.fake.asked().len() == 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(world.in_flight(), 1, "the handler is still running");
    world.fake.gate.add_permits(1);
    world.until("the slot is back", |world| world.in_flight() == 0).await;
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn a_body_is_not_read_before_there_is_a_slot_and_then_streamed() {
    let world = Arc::new(World::serving(revision("r1")));
    world.fake.starts.forget_permits(1000);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, BodyError>>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let request = Request::post(format!("/f/{}/upload", crate::world::FUNCTION)).header("host", "h");
    let request = request.body(StreamBody::new(Box::pin(frames))).unwrap();
    let answer = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.send(request).await })
    };
    sender.send(Ok(Frame::data(Bytes::from_static(b"1234")))).await.unwrap();
    world.until("it waits", |world| world.waiting() == 1).await;
    assert_eq!(sender.capacity(), 0, "nothing was read");
    world.fake.starts.add_permits(1);
    sender.send(Ok(Frame::data(Bytes::from_static(b"56")))).await.unwrap();
    drop(sender);
    let answer = answer.await.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "6");
}

#[tokio::test]
async fn no_answer_within_the_timeout_is_504_and_returns_the_slot() {
    let world = World::new(|config| config.timeout_slack = Duration::from_millis(10));
    world.gateway.restore(Arc::new(Revision { timeout: Duration::from_millis(20), ..revision("r1") }));
    let answer = world.get("/never").await;
    assert_eq!((answer.status, answer.trouble().as_str()), (504, "timeout"));
    assert!(answer.body.contains("20 ms"), "{}", answer.body);
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn an_instance_that_dies_breaks_what_it_held_and_the_next_request_starts_another() {
    let world = World::new(|config| config.backoff_first = Duration::from_millis(10));
    world.gateway.restore(Arc::new(revision("r1")));
    let answer = world.get("/die").await;
    assert_eq!((answer.status, answer.trouble().as_str()), (502, "instance_failed"));
    world.gateway.instance_exited(&world.started()[0], "exit code 1", false);
    assert_eq!(world.get("/").await.status, 200);
    assert_eq!(world.started().len(), 2);
    assert_eq!(world.fake.asked(), ["/die", "/"], "it was not sent twice");
}

#[tokio::test]
async fn an_instance_out_of_memory_is_507_with_the_limit() {
    let world = Arc::new(World::serving(revision("r1")));
    let dying = world.spawn("/die");
    world.until("it dies", |world| world.fake.asked().len() == 1).await;
    world.gateway.instance_exited(&world.started()[0], "signal 9", true);
    let answer = dying.await.unwrap();
    assert_eq!((answer.status, answer.trouble().as_str()), (507, "out_of_memory"));
    assert!(answer.body.contains("128 MB"), "{}", answer.body);
}

#[tokio::test]
async fn a_request_of_which_nothing_was_written_goes_to_another_instance() {
    let world = World::new(|config| {
        config.backoff_first = Duration::from_millis(10);
        config.keep_alive = Duration::ZERO;
    });
    world.gateway.restore(Arc::new(revision("r1")));
    assert_eq!(world.get("/").await.status, 200);
    // It dies while idle and nobody has reported it yet.
    world.fake.kill(&world.started()[0]);
    let request = Request::post(format!("/f/{}/upload", crate::world::FUNCTION)).header("host", "h");
    let answer = world.ask(request.body(Full::from("abc")).unwrap()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "3"));
    assert_eq!(world.started().len(), 2);
}
