//! `zipship build`, `push` and `inspect` against a registry that wants a password, and with skopeo's eyes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use futures_util::future::BoxFuture;
use registry::store::Disk;
use registry::{Action, Authorize, Denied, Registry};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::setting;

pub(crate) const PASSWORD: &str = "correct-horse";

/// Lets in whoever knows the password.
struct Locked;

impl Authorize for Locked {
    fn authorize<'a>(
        &'a self,
        credentials: Option<&'a str>,
        _: &'a str,
        _: Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        let good = format!("Basic {}", auth("ci", PASSWORD));
        let verdict = if credentials == Some(&*good) { Ok(()) } else { Err(Denied::Unauthenticated) };
        Box::pin(async move { verdict })
    }
}

pub(crate) fn auth(user: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

/// A registry, and a folder for what the tests write.
pub(crate) struct Bench {
    pub(crate) address: String,
    directory: TempDir,
    // Serves until dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(directory.path().join("registry")).expect("a store");
        let router = registry::router(Registry::new(disk, Arc::new(Locked)));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        runtime.spawn(async move { axum::serve(listener, router).await });
        let bench = Self { address, directory, _runtime: runtime };
        bench.write("function/handler.js", "exports.handle = () => 'one';\n");
        bench.log_in(PASSWORD);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    /// What `docker login` leaves behind.
    pub(crate) fn log_in(&self, password: &str) {
        let auth = auth("ci", password);
        self.write("config.json", &format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, self.address));
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zipship"));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("REGISTRY_AUTH_FILE", self.path("config.json"));
        command.output().expect("zipship runs")
    }

    pub(crate) fn build(&self, arguments: &[&str]) -> Output {
        let images = images();
        let images = images.to_str().expect("text");
        let fixed = ["build", "function", "--runtime", "node10", "--insecure", "--images-dir", images];
        self.run(&[&fixed, arguments].concat())
    }
}

/// The base images that `scripts/build` made.
pub(crate) fn images() -> PathBuf {
    setting("ZIPSHIP_IMAGES")
}

pub(crate) fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_str(&succeeded(output)).expect("JSON")
}

/// `skopeo inspect`.
pub(crate) fn skopeo(arguments: &[&str]) -> Value {
    let output = Command::new("skopeo").arg("inspect").args(arguments).output();
    json(&output.unwrap_or_else(|error| panic!("skopeo cannot be run (package skopeo): {error}")))
}

#[test]
fn a_directory_is_built_pushed_and_pushed_again_with_little() {
    let bench = Bench::new();
    let tag = format!("{}/team/hello:1", bench.address);
    let first = json(&bench.build(&["-t", &tag, "--label", "a=b", "--json"]));
    let pushed = &first["pushed"][0];
    assert!(pushed["requests"].as_u64().expect("a number") <= 11, "{pushed}");
    let seen =
        skopeo(&["--tls-verify=false", "--creds", &format!("ci:{PASSWORD}"), &format!("docker://{tag}")]);
    assert_eq!((&seen["Digest"], &seen["Labels"]["a"]), (&first["digest"], &"b".into()));

    bench.write("function/handler.js", "exports.handle = () => 'two';\n");
    let again = json(&bench.build(&["-t", &tag, "--label", "a=b", "--json"]));
    let pushed = &again["pushed"][0];
    assert_ne!(again["digest"], first["digest"]);
    assert!(pushed["requests"].as_u64().expect("a number") <= 6, "{pushed}");
    assert!(pushed["uploaded_bytes"].as_u64().expect("a number") < 20_000, "{pushed}");

    let shown = json(&bench.run(&["inspect", &tag, "--insecure", "--json"]));
    assert_eq!((&shown["digest"], &shown["labels"]["a"]), (&again["digest"], &"b".into()));
    let text = succeeded(&bench.run(&["inspect", &tag, "--insecure"]));
    assert!(text.contains("entrypoint  /usr/local/bin/zipship-shim"), "{text}");
}

#[test]
fn archives_are_what_other_tools_read_and_a_layout_can_be_pushed_later() {
    let bench = Bench::new();
    let forms = ["-o", "oci-archive:o.tar", "-o", "docker-archive:d.tar", "-o", "oci-layout:l"];
    let built = json(&bench.build(&[&forms[..], &["--json"]].concat()));
    let at = |form: &str, name: &str| format!("{form}:{}", bench.path(name).display());
    assert_eq!(skopeo(&[&at("oci-archive", "o.tar")])["Digest"], built["digest"]);
    assert_eq!(skopeo(&[&at("oci", "l")])["Digest"], built["digest"]);
    // Docker's form has a manifest of its own: the layers tell that it is the same image.
    let layers = |seen: &Value| seen["Layers"].as_array().map(Vec::len);
    assert_eq!(layers(&skopeo(&[&at("docker-archive", "d.tar")])), Some(3));
    let tag = format!("{}/team/later:1", bench.address);
    let pushed = json(&bench.run(&["push", "l", &tag, "--insecure", "--json"]));
    assert_eq!(pushed[0]["digest"], built["digest"]);
}

#[test]
fn a_zip_and_the_same_bytes_again_give_the_same_image() {
    let bench = Bench::new();
    let zip = |name: &str| {
        let status =
            Command::new("zip").args(["-qrX", name, "."]).current_dir(bench.path("function")).status();
        assert!(status.expect("zip runs").success());
    };
    zip("../f.zip");
    let images = images();
    let build = |source: &str| {
        let images = images.to_str().expect("text");
        json(&bench.run(&["build", source, "--runtime", "node10", "--images-dir", images, "--json"]))
    };
    assert_eq!(build("f.zip")["digest"], build("f.zip")["digest"]);
    assert_eq!(build("function")["digest"], build("function")["digest"]);
}

#[test]
fn each_way_to_fail_has_its_code_and_its_words() {
    let bench = Bench::new();
    let code_and_words =
        |output: Output| (output.status.code(), String::from_utf8(output.stderr).expect("text"));
    let (code, words) = code_and_words(bench.build(&["--handler", "other.handle"]));
    assert_eq!(code, Some(1));
    assert!(words.contains("other.js") && words.contains("handler.js"), "{words}");
    let (code, words) = code_and_words(bench.run(&["build", "function", "--runtime", "cobol"]));
    assert_eq!(code, Some(2));
    assert!(words.contains("node10"), "{words}");
    let empty = bench.path("no-images");
    let images_dir = empty.to_str().expect("text");
    let missing = ["build", "function", "--runtime", "node10", "--images-dir", images_dir];
    let (code, words) = code_and_words(bench.run(&missing));
    assert_eq!(code, Some(1));
    assert!(words.contains("zipship images build") && words.contains("node10"), "{words}");
    bench.log_in("wrong-horse");
    let tag = format!("{}/team/hello:1", bench.address);
    let (code, words) = code_and_words(bench.build(&["-t", &tag]));
    assert_eq!(code, Some(3));
    assert!(words.contains("401") && !words.contains("wrong-horse"), "{words}");
    assert!(Path::new(&bench.path("function")).is_dir());
}

#[test]
fn limits_of_archives_are_set_by_name() {
    let bench = Bench::new();
    let said = |limit: &str| {
        let output = bench.build(&["--limit", limit]);
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (code, words) = said("file-bytes=5");
    assert_eq!(code, Some(1));
    assert!(words.contains("\"handler.js\"") && words.contains("limit file-bytes is 5"), "{words}");
    let (code, words) = said("files=5");
    assert_eq!(code, Some(2));
    assert!(words.contains("decode-seconds"), "{words}");
    assert_eq!(said("file-bytes=1k").0, Some(0));
}

#[test]
fn the_password_may_come_from_the_environment() {
    let bench = Bench::new();
    std::fs::remove_file(bench.path("config.json")).expect("removed");
    let tag = format!("{}/team/hello:1", bench.address);
    let (images, function) = (images(), bench.path("function"));
    let run = |password: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zipship"));
        command.arg("build").arg(&function).args([
            "--runtime",
            "node10",
            "--insecure",
            "--user",
            "ci",
            "-t",
            &tag,
        ]);
        command.arg("--images-dir").arg(&images).stdin(Stdio::null());
        command.envs(password.map(|password| ("ZIPSHIP_REGISTRY_PASSWORD", password)));
        command.output().expect("zipship runs")
    };
    assert_eq!(run(None).status.code(), Some(3));
    let said = succeeded(&run(Some(PASSWORD)));
    assert!(said.contains("pushed") && !said.contains(PASSWORD), "{said}");
}
