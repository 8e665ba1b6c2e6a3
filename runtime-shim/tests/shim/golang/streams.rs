//! Answers that a program streams to the Runtime API.

use super::setup;
use crate::harness::Language::{GoLambda, GoLambdaOfOne, LambdaHttp};
use crate::harness::each;
use crate::harness::http::Request;

#[test]
fn a_reader_is_sent_on_as_it_is_read_with_the_head_that_it_has() {
    each(vec![GoLambda, GoLambdaOfOne], |language| {
        let shim = setup(language).start();
        let mut stream = shim.send(Request::get("/stream")).stream();
        assert_eq!(stream.status, 207);
        assert_eq!(stream.header("content-type"), Some("text/x-lines"));
        assert_eq!(stream.header("x-kept"), Some("yes"));
        assert_eq!(stream.header("set-cookie"), Some("a=1"));
        for number in 1..=3 {
            let line = stream.next().expect("a line, while the handler waits to be told to go on");
            assert_eq!(String::from_utf8_lossy(&line), format!("line {number}\n"));
            std::fs::write(shim.code().join(format!("line{number}")), "").expect("a file");
        }
        assert_eq!(stream.next(), None);
        assert_eq!(shim.get("/again").text(), "/again");
    });
}

#[test]
fn a_stream_that_fails_is_cut_and_one_that_never_began_is_500() {
    let shim = setup(GoLambda).start();
    let (body, is_cut, _) = shim.send(Request::get("/broken")).stream().rest();
    assert_eq!((String::from_utf8_lossy(&body).as_ref(), is_cut), ("begun", true));
    let failed = shim.get("/reader");
    let message = failed.json()["errorMessage"].as_str().map(str::to_owned);
    assert_eq!((failed.status, message.as_deref()), (500, Some("the source ran dry")));
    assert_eq!(shim.get("/again").text(), "/again");
}

#[test]
fn a_caller_that_goes_away_leaves_a_worker_that_serves() {
    let shim = setup(GoLambda).set("SCW_QUEUE_SIZE", "1").start();
    let mut stream = shim.send(Request::get("/stream")).stream();
    stream.next().expect("a line");
    drop(stream);
    for number in 1..=3 {
        std::fs::write(shim.code().join(format!("line{number}")), "").expect("a file");
    }
    assert_eq!(shim.get("/again").text(), "/again");
}

#[test]
fn lambda_http_streams_too() {
    let shim = setup(LambdaHttp).set("STREAMS", "1").start();
    let stream = shim.send(Request::get("/")).stream();
    assert_eq!((stream.status, stream.header("x-kept")), (202, Some("yes")));
    let (body, is_cut, _) = stream.rest();
    assert_eq!((String::from_utf8_lossy(&body).as_ref(), is_cut), ("one two three", false));
}
