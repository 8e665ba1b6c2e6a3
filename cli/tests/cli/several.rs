//! The functions of a serverless.yml.

use serde_json::json;

use crate::harness::Project;

const FILE: &str = "
service: shop
provider:
  name: scaleway
  runtime: node
  env: { STAGE: dev }
functions:
  orders:
    handler: src/orders.handle
    env: { NAME: orders }
  report:
    handler: report.run
    runtime: python3
    privacy: private
";

fn project() -> Project {
    Project::new(&[
        ("serverless.yml", FILE),
        (
            "src/orders.js",
            "exports.handle = (e) => ({ body: { path: e.path, stage: process.env.STAGE, name: process.env.NAME, prefix: e.headers['X-Forwarded-Prefix'] } });\n",
        ),
        (
            "report.py",
            "import os\n\ndef run(event, context):\n    return {'path': event['path'], 'stage': os.environ['STAGE'], 'name': context['functionName']}\n",
        ),
    ])
}

#[test]
fn each_function_is_served_below_its_name() {
    let dev = project().dev(&[]);
    let names: Vec<_> =
        dev.ready["functions"].as_array().unwrap().iter().map(|f| f["name"].clone()).collect();
    assert_eq!(names, ["orders", "report"]);
    let orders = dev.get("/orders/a/b?x=1").json();
    assert_eq!(orders, json!({"path": "/a/b", "stage": "dev", "name": "orders", "prefix": "/f/orders"}));
    assert_eq!(dev.get("/orders").json()["path"], "/");
    assert_eq!(dev.get("/report/x").status, 404, "it is private");
    let token = dev.ready["functions"][1]["token"].as_str().unwrap();
    let report = dev.get_with("/report/x", &[("SCW-Functions-Token", token)]).json();
    assert_eq!(report, json!({"path": "/x", "stage": "dev", "name": "report"}));
    for nowhere in ["/", "/ordersx", "/f/nothing/x"] {
        let response = dev.get(nowhere);
        assert_eq!(response.status, 404, "{nowhere}");
        assert!(response.text().contains("/orders") && response.text().contains("/report"), "{response:?}");
    }
}

#[test]
fn a_broken_function_does_not_break_the_others() {
    let dev = project().dev(&[]);
    dev.project.write("src/orders.js", "oh no\n");
    assert_eq!(dev.get("/orders").status, 500);
    let token = dev.ready["functions"][1]["token"].as_str().unwrap();
    assert_eq!(dev.get_with("/report", &[("SCW-Functions-Token", token)]).status, 200);
    dev.project.write("serverless.yml", FILE);
    let note = dev.event("a note", |event| event["event"] == "note");
    assert!(note["text"].as_str().unwrap().contains("serverless.yml has changed"), "{note}");
}

#[test]
fn one_function_is_invoked_by_name() {
    let project = project();
    let all = project.invoke(&[]);
    assert_eq!(all.code, Some(64), "{all:?}");
    assert!(all.stderr.contains("orders, report"), "{all:?}");
    let one = project.invoke(&["--function", "report", "--path", "/y"]);
    assert_eq!(one.json()["path"], "/y");
    let unknown = project.invoke(&["--function", "nothing"]);
    assert_eq!(unknown.code, Some(64));
    assert!(unknown.stderr.contains("orders, report"), "{unknown:?}");
}
