//! `zipship namespace|function|container|token` against the API, which is served from here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use serde_json::json;

use crate::harness::{Project, Served, error};

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_made_listed_changed_and_deleted_by_name() {
    let served = Served::start().await;
    let made = served.json(&["namespace", "create", "shop", "--env", "A=1", "--description", "d"]);
    assert_eq!((&made["status"], &made["environment_variables"]), (&json!("ready"), &json!({"A": "1"})));
    let id = made["id"].as_str().unwrap();
    assert_eq!(served.json(&["namespaces", "get", "shop"]), made);
    assert_eq!(served.json(&["namespace", "get", id]), made);
    assert_eq!(served.json(&["namespace", "list"]), json!([made]));
    let table = served.said(&["namespaces", "list"]);
    let [head, row] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    assert_eq!(head.find("name"), row.find("shop"), "aligned: {table}");
    assert!(row.starts_with(id) && row.contains("ready"), "{table}");
    let changed = served.json(&["namespace", "update", "shop", "--no-env"]);
    assert_eq!((&changed["environment_variables"], &changed["description"]), (&json!({}), &json!("d")));
    let shown = served.said(&["namespace", "update", "shop", "--env", "SECRET=hidden"]);
    assert!(shown.contains("variables     SECRET\n") && !shown.contains("hidden"), "{shown}");
    assert_eq!(served.said(&["namespace", "delete", "shop"]), format!("deleted {id}\n"));
    let gone = error(&served.run(&["namespace", "get", "shop"]));
    assert_eq!(gone, "error: there is no namespace with the name or id \"shop\"\n");
    assert!(error(&served.run(&["namespace", "get", id])).contains(&format!("namespace {id} was not found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_functions_settings_are_given_as_options_and_files() {
    let served = Served::start().await;
    served.json(&["namespace", "create", "n"]);
    let file = served.folder.path().join("variables");
    std::fs::write(&file, "A=file\nB=\"two words\"\n").unwrap();
    let file = file.to_str().unwrap();
    let create = ["function", "create", "f", "--namespace", "n", "--runtime", "node22", "--handler", "a.b"];
    let more = ["--env-file", file, "--env", "A=1", "--memory", "128", "--timeout", "2s", "--private"];
    let scale =
        ["--min-scale", "0", "--max-scale", "3", "--max-concurrency", "7", "--description", "it\u{1b}[1m"];
    let made = served.json(&[&create[..], &more, &scale].concat());
    for (name, value) in [
        ("environment_variables", json!({"A": "1", "B": "two words"})),
        ("memory_limit", json!(128)),
        ("timeout", json!(2000)),
        ("privacy", json!("private")),
        ("max_scale", json!(3)),
        ("handler", json!("a.b")),
        ("status", json!("created")),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let changed =
        served.json(&["function", "update", "f", "--public", "--runtime", "node20", "--no-redeploy"]);
    assert_eq!((&changed["privacy"], &changed["runtime"]), (&json!("public"), &json!("node20")));
    assert_eq!(changed["environment_variables"], made["environment_variables"], "not named, not changed");
    let shown = served.said(&["function", "get", "f"]);
    assert!(shown.contains("namespace    n\n") && shown.contains("variables    A, B\n"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no control characters reach a terminal: {shown:?}");
    let table = served.said(&["functions", "list", "--namespace", "n"]);
    assert!(table.lines().nth(1).unwrap().ends_with(made["endpoint"].as_str().unwrap()), "{table}");

    let zip = served.folder.path().join("f.zip");
    std::fs::write(&zip, b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    let uploaded = served.json(&["function", "upload", "f", zip.to_str().unwrap()]);
    assert_eq!((&uploaded["bytes"], &uploaded["function_id"]), (&json!(22), &made["id"]));
    let project = Project::new(&[("handler.js", "exports.handle = () => 1;")]);
    served.said(&["function", "upload", "f", project.path().to_str().unwrap()]);
    let id = made["id"].as_str().unwrap();
    assert_eq!(served.said(&["function", "delete", "f"]), format!("deleted {id}\n"));
    assert_eq!(served.json(&["function", "list"]), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_several_namespaces_is_refused_with_the_candidates() {
    let served = Served::start().await;
    let mut ids = Vec::new();
    for namespace in ["one", "two"] {
        served.json(&["namespace", "create", namespace]);
        let made = served.json(&["function", "create", "f", "-n", namespace, "--runtime", "node22"]);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let refused = error(&served.run(&["function", "get", "f"]));
    for (id, namespace) in ids.iter().zip(["one", "two"]) {
        assert!(refused.contains(&format!("function {id}  in the namespace {namespace}")), "{refused}");
    }
    assert!(refused.contains("--namespace"), "{refused}");
    assert_eq!(served.json(&["function", "get", "f", "-n", "two"])["id"], ids[1].as_str());
    assert_eq!(served.json(&["function", "list", "-n", "one"]).as_array().unwrap().len(), 1);
    let nowhere = error(&served.run(&["function", "get", "g", "-n", "one"]));
    assert_eq!(nowhere, "error: there is no function with the name or id \"g\" in the namespace one\n");
    let homeless = error(&served.run(&["function", "create", "g"]));
    assert!(homeless.contains("--namespace says which namespace"), "{homeless}");

    // A cron calls what has the name, of whatever kind.
    let made = served.json(&["container", "create", "c", "-n", "one", "--memory", "128"]);
    assert!(made["registry_image"].as_str().unwrap().ends_with("/one/c:latest"), "{made}");
    let cron = served.json(&["cron", "create", "c", "--schedule", "@daily"]);
    assert_eq!(cron["application_id"], made["id"]);
    assert_eq!(served.json(&["cron", "list", "--application", "f", "-n", "two"]), json!([]));
    let image = made["registry_image"].as_str().unwrap().replace("c:latest", "x:1");
    let changed = served.json(&["container", "update", "c", "--image", &image, "--no-redeploy"]);
    assert_eq!(changed["registry_image"], image.as_str());
    served.said(&["containers", "delete", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_issued_for_what_is_named() {
    let served = Served::start().await;
    let namespace = served.json(&["namespace", "create", "n"]);
    let function = served.json(&["function", "create", "f", "-n", "n", "--runtime", "node22", "--private"]);
    let claims = |token: &str| -> serde_json::Value {
        use base64::Engine as _;
        let payload = token.trim_end().split('.').nth(1).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let of_function = claims(&served.said(&["token", "issue", "--function", "f", "--expires", "1h"]));
    assert_eq!(of_function["application_claim"][0]["application_id"], function["id"]);
    assert!(of_function["exp"].as_i64().unwrap() > of_function["iat"].as_i64().unwrap() + 3500);
    let issued = served.json(&["token", "issue", "--namespace", "n"]);
    let of_namespace = claims(issued["token"].as_str().unwrap());
    assert_eq!(of_namespace["application_claim"], json!([{"namespace_id": namespace["id"]}]));
    assert_eq!(of_namespace.get("exp"), None);
    for wrong in [
        &["token", "issue"][..],
        &["token", "issue", "--function", "f", "--container", "c"],
        &["token", "issue", "--function", "f", "--expires", "yesterday"],
    ] {
        assert_eq!(served.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
