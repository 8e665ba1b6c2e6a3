//! The embedded registry as the container tutorial uses it: any user, the API key as password; a namespace's images
//! are its owner's alone, and what a function runs cannot be lost by cleaning.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use zipship_tests::{Function, Place, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };

/// Runs a client with credentials and storage of its own.
fn client(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .env("REGISTRY_AUTH_FILE", folder.join("auth.json"))
        .env("HOME", folder)
        .output();
    output.unwrap_or_else(|error| panic!("{program} cannot be run (scripts/setup test installs it): {error}"))
}

fn passed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_str(&passed(output)).unwrap()
}

async fn namespace(server: &Server, name: &str) -> String {
    let api = server.api();
    let body = json!({"name": name, "organization_id": api.organization()});
    let made = api.post("namespaces", &body).await.unwrap().expect(200);
    loop {
        let now = api.get(&format!("namespaces/{}", made["id"].as_str().unwrap())).await.unwrap().expect(200);
        if now["status"] == "ready" {
            return now["registry_endpoint"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_and_skopeo_log_in_with_the_api_key_and_push_and_pull() -> anyhow::Result<()> {
    let server = Server::start()?;
    let folder = TempDir::new()?;
    let at = folder.path();
    let endpoint = namespace(&server, "tutorial").await;
    let host = endpoint.split('/').next().unwrap();
    let key = server.api().key();

    let login = |program: &str, password: &str| {
        client(at, program, &["login", "--tls-verify=false", "-u", "userdoesnotmatter", "-p", password, host])
    };
    assert!(!login("podman", "11111111-1111-4111-8111-111111111111").status.success(), "a wrong key");
    passed(&login("podman", key));

    let image = format!("docker://{endpoint}/hello:1");
    let base = format!("docker://{host}/base/node10:latest");
    let listed = json_of(&client(
        at,
        "skopeo",
        &["list-tags", "--tls-verify=false", &format!("docker://{host}/base/node10")],
    ));
    let tag = listed["Tags"][0].as_str().unwrap();
    let base = base.replace("latest", tag);
    let copy = ["copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    passed(&client(at, "skopeo", &[&copy[..], &[&base, &image]].concat()));

    let root = at.join("podman");
    let storage = ["--root", root.to_str().unwrap(), "--storage-driver", "vfs"];
    let pulled = format!("{endpoint}/hello:1");
    passed(&client(at, "podman", &[&storage[..], &["pull", "--tls-verify=false", &pulled]].concat()));
    passed(&client(
        at,
        "podman",
        &[&storage[..], &["tag", &pulled, &format!("{endpoint}/hello:2")]].concat(),
    ));
    let push = ["push", "--tls-verify=false", &format!("{endpoint}/hello:2")];
    passed(&client(at, "podman", &[&storage[..], &push].concat()));
    let tags = json_of(&client(
        at,
        "skopeo",
        &["list-tags", "--tls-verify=false", &format!("docker://{endpoint}/hello")],
    ));
    assert_eq!(tags["Tags"], json!(["1", "2"]));

    // What is the server's, or nobody's, is not written to.
    for place in [format!("{host}/base/mine:1"), format!("{host}/nobody/mine:1")] {
        let refused = client(at, "skopeo", &[&copy[..], &[&image, &format!("docker://{place}")]].concat());
        assert!(!refused.status.success(), "{place}");
    }
    passed(&client(at, "podman", &[&storage[..], &["rmi", "--all", "--force"]].concat()));
    passed(&client(at, "podman", &["logout", host]));
    let refused = client(at, "skopeo", &["inspect", "--tls-verify=false", &image]);
    assert!(!refused.status.success(), "nobody reads without a key");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn cleaning_leaves_what_a_function_runs() -> anyhow::Result<()> {
    let server = Server::start()?;
    let folder = TempDir::new()?;
    let version = |text: &str| Zip::of("handler.js", &format!("exports.handle = () => '{text}';\n"));
    let function = Function::deployed(server.api(), NODE, &version("one")).await?;
    for text in ["two", "three", "four"] {
        function.redeploy(&version(text)).await?;
    }
    let host = server.api().url().trim_start_matches("http://").to_owned();
    let program = Place::find()?.existing("ZIPSHIP_BIN")?;
    let zipship = |arguments: &[&str]| {
        let access = ["--insecure", "--user", "any", "--json"];
        let mut command = Command::new(&program);
        command.arg("registry").args(arguments).args(access).env("HOME", folder.path());
        command.env("ZIPSHIP_REGISTRY_PASSWORD", server.api().key()).output().unwrap()
    };
    let all = json_of(&zipship(&["list", &host]));
    let repositories: Vec<_> =
        all.as_array().unwrap().iter().map(|row| row["repository"].as_str().unwrap()).collect();
    let own: Vec<_> = repositories.iter().filter(|name| !name.starts_with("base/")).collect();
    assert_eq!(own.len(), 1, "{repositories:?}");
    let repository = format!("{host}/{}", own[0]);
    let tags = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row["tag"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(tags(&json_of(&zipship(&["list", &repository]))), ["1", "2", "3", "4", "latest"]);

    let would = json_of(&zipship(&["clean", &repository, "--keep", "1", "--dry-run"]));
    assert_eq!(would["tags"], json!(["1", "2", "3"]));
    let done = json_of(&zipship(&["clean", &repository, "--keep", "1"]));
    assert_eq!(
        (&done["tags"], &done["manifests"]),
        (&json!(["1", "2", "3"]), &json!(0)),
        "young manifests stay"
    );
    let left = json_of(&zipship(&["list", &repository]));
    assert_eq!(tags(&left), ["4", "latest"]);

    // The image that runs is not deleted, whoever asks; the function goes on.
    let digest = left[0]["digest"].as_str().unwrap();
    let url = format!("{}/v2/{}/manifests/{digest}", server.api().url(), own[0]);
    let request =
        reqwest::Client::builder().no_proxy().build()?.delete(url).basic_auth("x", Some(server.api().key()));
    let refused = request.send().await?;
    assert_eq!(refused.status(), 403);
    let told = refused.text().await?;
    assert!(told.contains("runs it as version 4"), "{told}");
    assert_eq!(function.call().await?.text(), "four");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_over_the_quota_says_so_and_the_old_version_goes_on() -> anyhow::Result<()> {
    // The base's layers count: they are linked into the namespace. One megabyte holds none of them.
    let server = Server::start_with(&["--registry-quota", "1"])?;
    let function = Function::create(server.api(), NODE).await?;
    function.upload(&Zip::of("handler.js", "exports.handle = () => 'x';\n").bytes()).await?;
    let settled = function.deploy().await?;
    assert_eq!(settled["status"], "error", "{settled}");
    let told = settled["error_message"].as_str().unwrap();
    assert!(told.contains("quota of 1000000"), "{told}");
    server.stop()
}
