//! `zipship invoke --local`.

use serde_json::{Value, json};

use crate::harness::Project;

const ECHO: (&str, &str) =
    ("handler.js", "exports.handle = (event) => { console.log('called'); return { body: event }; };\n");
const PYTHON: (&str, &str) = (
    "handler.py",
    "import os\nimport helper\n\ndef handle(event, context):\n    print('called')\n    return {'env': dict(os.environ), 'helped': helper.HELP}\n",
);

#[test]
fn the_body_is_on_stdout_and_the_rest_on_stderr() {
    let project = Project::new(&[(
        "handler.js",
        "exports.handle = () => { console.log('out'); console.error('err'); return { statusCode: 404, headers: { 'X-A': ['1', '2'] }, body: 'not here' }; };",
    )]);
    let plain = project.invoke(&[]);
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(0), "not here"), "{plain:?}");
    for said in ["because of handler.js", "out\n", "err\n", "status 404"] {
        assert!(plain.stderr.contains(said), "{plain:?}");
    }
    let with_head = project.invoke(&["-i"]);
    assert!(with_head.stdout.starts_with("HTTP/1.1 404 Not Found\n"), "{with_head:?}");
    assert!(with_head.stdout.contains("x-a: 1\nx-a: 2\n") && with_head.stdout.ends_with("\n\nnot here"));
    let json = project.invoke(&["--json"]);
    let document = json.json();
    assert_eq!((&document["status"], &document["body"]), (&json!(404), &json!("not here")));
    assert_eq!(document["error"], Value::Null);
    let lines: Vec<&str> =
        document["logs"].as_array().unwrap().iter().map(|l| l["line"].as_str().unwrap()).collect();
    assert!(lines.contains(&"out") && lines.contains(&"err"), "{document}");
    assert!(document["headers"].as_array().unwrap().contains(&json!(["x-a", "2"])), "{document}");
}

#[test]
fn bytes_arrive_whole() {
    let source = "exports.handle = () => Buffer.from([0, 255, 10, 128]);";
    let project = Project::new(&[("handler.js", source)]);
    let document = project.invoke(&["--json"]).json();
    assert_eq!((&document["body"], &document["is_base64_encoded"]), (&json!("AP8KgA=="), &json!(true)));
}

#[test]
fn exit_codes_say_whose_fault_it_was() {
    let node = |source: &str| Project::new(&[("handler.js", source)]);
    for (source, arguments, code, said) in [
        ("exports.handle = () => ({ statusCode: 500 });", &[][..], 0, "status 500;"),
        ("exports.handle = () => { throw new TypeError('boom'); };", &[], 1, "TypeError: boom"),
        ("exports.handle = () => ({ statusCode: 99 });", &[], 1, "status 502, Runtime.MalformedAnswer"),
        ("exports.handle = () => process.exit(3);", &[], 1, "status 502, Runtime.WorkerKilled"),
        ("exports.handle = () => new Promise(() => {});", &["--timeout", "100ms"], 1, "status 504"),
        ("exports.other = () => 1;", &[], 1, "status 500, Runtime.ImportError"),
        ("this is no program", &[], 1, "SyntaxError"),
    ] {
        let invoked = node(source).invoke(arguments);
        assert_eq!(invoked.code, Some(code), "{source}: {invoked:?}");
        assert!(invoked.stderr.contains(said), "{source}: {invoked:?}");
    }
}

#[test]
fn wrong_arguments_are_64_and_say_what_to_do() {
    let project = Project::new(&[ECHO]);
    for (arguments, said) in [
        (&["--runtime", "cobol"][..], "node22"),
        (&["--handler", "../x.y"], ".."),
        (&["--env", "SCW_PUBLIC=true"], "SCW_PUBLIC"),
        (&["--env-file", "/nowhere/.env"], "/nowhere/.env"),
        (&["--event", "/nowhere/event.json"], "/nowhere/event.json"),
        (&["--data", "{"], "no JSON"),
        (&["--path", "x"], "--path"),
        (&["--header", "x"], "--header"),
        (&["--timeout", "soon"], "soon"),
        (&["--function", "x"], "serverless.yml"),
        (&["--interpreter", "/nowhere/node"], "/nowhere/node"),
        (&["--nonsense"], "--nonsense"),
        (&["--event", "x", "--path", "/x"], "--path"),
    ] {
        let invoked = project.invoke(arguments);
        assert_eq!(invoked.code, Some(64), "{arguments:?}: {invoked:?}");
        assert!(invoked.stderr.contains(said), "{arguments:?}: {invoked:?}");
    }
    let empty = Project::new(&[]).invoke(&[]);
    assert_eq!(empty.code, Some(64));
    assert!(empty.stderr.contains("--handler"), "{empty:?}");
}

/// The event that the handler gets is the file's, as far as a request can carry it.
#[test]
fn an_event_file_becomes_its_request_and_that_event_again() {
    let event = json!({
        "httpMethod": "POST", "path": "/a b", "isBase64Encoded": true, "body": "AP8=",
        "headers": {"X-Tag": "2", "Host": "example.org"},
        "multiValueHeaders": {"X-Tag": ["1", "2"], "Host": ["example.org"]},
        "queryStringParameters": {"x": "2", "y": ""},
        "multiValueQueryStringParameters": {"x": ["1", "2"], "y": [""]},
        "requestContext": {"requestId": "id-1", "path": "/a%20b", "identity": {"sourceIp": "10.1.2.3"}},
    });
    let project = Project::new(&[ECHO, ("event.json", &event.to_string())]);
    let file = project.path().join("event.json");
    let got = project.invoke(&["--event", file.to_str().unwrap()]).json();
    for key in [
        "httpMethod",
        "path",
        "isBase64Encoded",
        "body",
        "queryStringParameters",
        "multiValueQueryStringParameters",
    ] {
        assert_eq!(got[key], event[key], "{key}");
    }
    assert_eq!(got["multiValueHeaders"]["X-Tag"], event["multiValueHeaders"]["X-Tag"]);
    assert_eq!(got["headers"]["Host"], "example.org");
    assert_eq!(got["requestContext"]["requestId"], "id-1");
    assert_eq!(got["requestContext"]["path"], "/a%20b");
    assert_eq!(got["requestContext"]["identity"]["sourceIp"], "10.1.2.3");
    let prefix = got["headers"]["X-Forwarded-Prefix"].as_str().unwrap();
    assert!(prefix.starts_with("/f/"), "as behind the gateway: {prefix}");
}

#[test]
fn requests_are_made_of_arguments_or_of_any_json() {
    let project = Project::new(&[ECHO, ("body.txt", "from a file")]);
    let body = format!("@{}", project.path().join("body.txt").display());
    let put = ["-X", "PUT", "--path", "/x%2Fy?a=1", "-H", "X-One: é", "--body", &body];
    let got = project.invoke(&put).json();
    assert_eq!((&got["httpMethod"], &got["requestContext"]["path"]), (&json!("PUT"), &json!("/x%2Fy")));
    assert_eq!((&got["headers"]["X-One"], &got["body"]), (&json!("é"), &json!("from a file")));
    assert_eq!(got["queryStringParameters"], json!({"a": "1"}));
    assert_eq!(project.invoke(&["--body", "x"]).json()["httpMethod"], "POST");
    assert_eq!(project.invoke(&[]).json()["httpMethod"], "GET");
    let other = project.invoke(&["--data", r#"{"job": 1}"#]);
    let got = other.json();
    assert_eq!((&got["httpMethod"], &got["body"]), (&json!("POST"), &json!(r#"{"job": 1}"#)));
    assert_eq!(got["headers"]["Content-Type"], "application/json");
    assert!(other.stderr.contains("not an API Gateway event"), "{other:?}");
}

/// Nothing of the terminal's own variables but what a program needs to run.
#[test]
fn the_environment_is_what_was_asked_for_and_nothing_is_written() {
    let project = Project::new(&[PYTHON, ("helper.py", "HELP = 1\n"), (".env", "A=file\nB=file\n")]);
    let before = project.listing();
    let file = project.path().join(".env");
    let arguments =
        ["--env-file", file.to_str().unwrap(), "-e", "A=given", "-e", "PASSED", "--runtime", "python3"];
    let invoked = project.invoke_with(&arguments, |command| {
        command.env("PASSED", "on").env("A_SECRET", "1");
    });
    assert_eq!(invoked.code, Some(0), "{invoked:?}");
    let got = invoked.json();
    let of = |name: &str| got["env"][name].as_str().map(str::to_owned);
    assert_eq!(
        (of("A"), of("B"), of("PASSED")),
        (Some("given".into()), Some("file".into()), Some("on".into()))
    );
    assert_eq!((of("A_SECRET"), of("SCW_PUBLIC")), (None, Some("true".into())));
    assert!(got["env"].as_object().unwrap().keys().all(|name| !name.starts_with("ZIPSHIP_")), "{got}");
    assert_eq!(project.listing(), before, "nothing is written into the directory");
}

#[test]
fn a_private_function_is_called_with_a_token_and_never_sees_it() {
    let project = Project::new(&[ECHO]);
    let invoked = project.invoke(&["--private"]);
    assert_eq!(invoked.code, Some(0), "{invoked:?}");
    let got = invoked.json();
    let claims = &got["requestContext"]["authorizer"];
    assert_eq!(claims["iss"], "zipship", "{got}");
    assert!(invoked.stderr.contains("application_claim"), "{invoked:?}");
    assert!(!got["headers"].as_object().unwrap().keys().any(|name| name.to_lowercase().contains("token")));
}

#[test]
fn another_version_of_the_interpreter_is_told() {
    let invoked = Project::new(&[ECHO]).invoke(&["--runtime", "node3"]);
    assert_eq!(invoked.code, Some(0), "{invoked:?}");
    assert!(invoked.stderr.contains("the runtime is node3, but"), "{invoked:?}");
}
