//! `zipship dev`: one function.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use serde_json::json;

use crate::harness::{Invoked, Project};

const NODE: (&str, &str) = (
    "handler.js",
    "exports.handle = (event) => {
  console.log('got ' + event.path);
  if (event.path === '/boom') throw new TypeError('the detail');
  return { body: event };
};
",
);

#[test]
fn every_path_goes_to_the_function_as_behind_the_gateway() {
    let dev = Project::new(&[NODE]).dev(&[]);
    let about = &dev.ready["functions"][0];
    assert_eq!((&about["handler"], &about["private"]), (&json!("handler.handle"), &json!(false)));
    let response = dev.get_with("/a%20b?x=1", &[("X-Request-Id", "mine-1"), ("X-Forwarded-For", "6.6.6.6")]);
    assert_eq!(response.header("x-request-id"), Some("mine-1"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let event = response.json();
    assert_eq!((&event["path"], &event["requestContext"]["path"]), (&json!("/a b"), &json!("/a%20b")));
    assert_eq!(event["requestContext"]["requestId"], "mine-1");
    assert_eq!(
        event["requestContext"]["identity"]["sourceIp"], "127.0.0.1",
        "what a caller says is not believed"
    );
    let name = about["name"].as_str().unwrap();
    assert_eq!(event["headers"]["X-Forwarded-Prefix"], format!("/f/{name}"));
    // The address of production works too.
    assert_eq!(dev.get(&format!("/f/{name}/x?y=1")).json()["path"], "/x");
}

#[test]
fn a_developer_sees_the_stack_and_the_caller_does_not() {
    let dev = Project::new(&[NODE]).dev(&[]);
    let response = dev.get("/boom");
    assert_eq!(response.status, 500);
    assert_eq!(response.json(), json!({"errorMessage": "the detail", "errorType": "TypeError"}));
    let id = response.header("x-request-id").unwrap();
    let stack = dev.event("the stack's line", |event| {
        event["event"] == "log" && event["line"].as_str().is_some_and(|line| line.contains("handler.js:3"))
    });
    assert_eq!((&stack["request_id"], &stack["stream"]), (&json!(id), &json!("stderr")));
    let request = dev.event("the request", |event| event["event"] == "request");
    assert_eq!((&request["method"], &request["path"]), (&json!("GET"), &json!("/boom")));
    assert_eq!((&request["status"], &request["request_id"]), (&json!(500), &json!(id)));
    assert!(request["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    let printed = dev.event("the output", |event| event["line"] == "got /boom");
    assert_eq!(printed["request_id"], id);
}

#[test]
fn a_private_function_wants_the_token_that_is_shown() {
    let dev = Project::new(&[NODE]).dev(&["--private"]);
    let about = &dev.ready["functions"][0];
    let token = about["token"].as_str().expect("a token");
    assert_eq!(about["claims"]["iss"], "zipship");
    let without = dev.get("/");
    assert_eq!((without.status, without.body.len()), (404, 0));
    let bad = dev.get_with("/", &[("SCW-Functions-Token", &format!("{token}x"))]);
    assert_eq!(bad.status, 401);
    let good = dev.get_with("/", &[("SCW-Functions-Token", token)]);
    assert_eq!(good.status, 200, "{good:?}");
    assert_eq!(good.json()["requestContext"]["authorizer"]["sub"], about["claims"]["sub"]);
    dev.event("the handler's word", |event| event["line"] == "got /");
    let called = dev.events().into_iter().filter(|event| event["line"] == "got /").count();
    assert_eq!(called, 1, "only the good request reached the handler");
}

#[test]
fn people_get_lines_without_colours_where_there_is_no_terminal() {
    let project = Project::new(&[NODE]);
    let mut command = project.dev_command(&["--port", "0", "--private"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
    while !text.contains("Ctrl-C ends") {
        text += &(lines.next().expect("more").unwrap() + "\n");
    }
    let url =
        text.lines().next().and_then(|line| line.rsplit("http://").next()).unwrap().trim_end_matches('/');
    let token = text
        .split("SCW-Functions-Token: ")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .unwrap()
        .to_owned();
    let mut connection = crate::harness::Connection::open(url.parse().unwrap()).unwrap();
    let answer = connection.get("/boom?x=1", &[("SCW-Functions-Token", &token)]).unwrap();
    assert_eq!(answer.status, 500);
    while !text.contains("handler.js:3") {
        text += &(lines.next().expect("more").unwrap() + "\n");
    }
    let id = &answer.header("x-request-id").unwrap()[..8];
    assert!(
        text.contains(" GET /boom?x=1 500 ") && text.contains(&format!(" {id}\n{id} | got /boom\n")),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "{text}");
    assert!(!text.split("Ctrl-C ends").nth(1).unwrap().contains(&token), "tokens are shown once: {text}");
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_port_that_is_taken_is_named_with_a_free_one() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let project = Project::new(&[NODE]);
    let output = project.dev_command(&["--port", &port.to_string()]).output().unwrap();
    let said = Invoked::of(&output);
    assert_eq!(said.code, Some(1), "{said:?}");
    let hint =
        said.stderr.split("zipship dev --port ").nth(1).and_then(|rest| rest.trim().parse::<u16>().ok());
    assert!(said.stderr.contains(&format!("port {port} is in use")), "{said:?}");
    assert!(
        hint.is_some_and(|free| free != port && std::net::TcpListener::bind(("127.0.0.1", free)).is_ok()),
        "{said:?}"
    );
}

/// The first part of a streamed answer is there before the handler has made the second.
#[test]
fn a_streamed_answer_comes_as_it_is_made() {
    let source = "const fs = require('fs');
exports.handle = async function* () {
  yield 'first ';
  while (!fs.existsSync(process.env.GO)) await new Promise((go) => setTimeout(go, 5));
  yield 'second';
};
";
    let signal = tempfile::tempdir().unwrap();
    let go = signal.path().join("go");
    let dev = Project::new(&[("handler.js", source)]).dev(&["--env", &format!("GO={}", go.display())]);
    let mut stream = std::net::TcpStream::connect(dev.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    let mut read_to = |text: &mut String, end: &str| {
        while !text.contains(end) {
            let mut part = [0; 1024];
            let length = stream.read(&mut part).unwrap();
            assert!(length > 0, "{text:?}");
            text.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
    };
    read_to(&mut text, "first ");
    assert!(!text.contains("second"), "{text:?}");
    std::fs::write(&go, "").unwrap();
    read_to(&mut text, "second");
}
