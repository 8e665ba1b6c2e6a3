//! `--sbom` and `--provenance`: what the documents say, what validators say of them, and who finds them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::build::{Bench, PASSWORD, images, json, skopeo, succeeded};
use crate::harness::setting;

/// A function with packages of npm: one with a licence, one without a version.
fn with_packages() -> Bench {
    let bench = Bench::new();
    let package = |name: &str, text: &str| {
        bench.write(&format!("function/node_modules/{name}/package.json"), text);
    };
    package("left", r#"{"name": "left", "version": "1.2.3", "license": "MIT"}"#);
    package("@team/right", r#"{"name": "@team/right", "version": "4.5.6", "license": "do what you like"}"#);
    package("bare", "{}");
    bench
}

fn read(bench: &Bench, name: &str) -> Value {
    serde_json::from_slice(&fs::read(bench.path(name)).expect("a file")).expect("JSON")
}

/// The package URLs of a list of contents.
fn packages(sbom: &Value) -> Vec<&str> {
    let packages = sbom["packages"].as_array().expect("packages").iter();
    packages.filter_map(|one| one["externalRefs"][0]["referenceLocator"].as_str()).collect()
}

/// spdx-tools and in-toto-attestation have nothing to say.
fn validate(bench: &Bench) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/clients/attestations/validate.py");
    let python = setting("ZIPSHIP_INTERPRETERS").join("python313/bin/python");
    let mut command = Command::new(python);
    command.env("PYTHONPATH", setting("ZIPSHIP_CLIENTS").join("attestations"));
    command.arg(script).arg(bench.path("sbom.json")).arg(bench.path("provenance.json"));
    let output = command.output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const FILES: [&str; 3] = ["--sbom=sbom.json", "--provenance=provenance.json", "--json"];

#[test]
fn what_is_in_the_image_and_how_it_was_made_is_said_and_valid() {
    let bench = with_packages();
    let built = json(&bench.build(&FILES));
    let sbom = read(&bench, "sbom.json");
    let found = packages(&sbom);
    for package in ["pkg:npm/left@1.2.3", "pkg:npm/%40team/right@4.5.6", "pkg:npm/bare"] {
        assert!(found.contains(&package), "{package}: {found:?}");
    }
    assert!(
        found.iter().any(|package| package.starts_with("pkg:deb/debian/libc6@")),
        "the base's: {found:?}"
    );
    let left = sbom["packages"].as_array().expect("packages").iter().find(|one| one["name"] == "left");
    assert_eq!(left.expect("left")["licenseDeclared"], "MIT");

    let provenance = read(&bench, "provenance.json");
    let digest = built["digest"].as_str().expect("a digest");
    assert_eq!(provenance["subject"][0]["digest"]["sha256"], digest["sha256:".len()..]);
    let definition = &provenance["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["runtime"], "node10");
    assert_eq!(definition["externalParameters"]["handler"], "handler.handle");
    assert_eq!(definition["resolvedDependencies"][1]["name"], "base/node10");
    assert_eq!(provenance["predicate"]["runDetails"]["metadata"], serde_json::json!({}));
    validate(&bench);
}

#[test]
fn the_same_build_says_the_same_and_nothing_of_the_machine() {
    let bench = with_packages();
    let documents = |bench: &Bench| {
        json(&bench.build(&FILES));
        ["sbom.json", "provenance.json"].map(|name| fs::read_to_string(bench.path(name)).expect("a file"))
    };
    let (one, other) = (documents(&bench), documents(&with_packages()));
    assert_eq!(one, other);
    let here = bench.path("").display().to_string();
    for text in one {
        assert!(!text.contains(&here) && !text.contains("/root") && !text.contains("home"), "{text}");
    }
}

#[test]
fn a_time_is_said_when_the_environment_names_one() {
    let bench = with_packages();
    let images = images();
    let arguments = ["build", "function", "--runtime", "node10", "--images-dir"];
    let arguments = [&arguments[..], &[images.to_str().expect("text")], &FILES].concat();
    let build = |moment: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zipship"));
        command.args(&arguments).current_dir(bench.path("")).env("SOURCE_DATE_EPOCH", moment);
        command.output().expect("zipship runs")
    };
    json(&build("86400"));
    assert_eq!(read(&bench, "sbom.json")["creationInfo"]["created"], "1970-01-02T00:00:00Z");
    let metadata = &read(&bench, "provenance.json")["predicate"]["runDetails"]["metadata"];
    assert_eq!(metadata["startedOn"], "1970-01-02T00:00:00Z");
    validate(&bench);
    assert!(!build("yesterday").status.success());
}

#[test]
fn a_go_programs_modules_and_compiler_are_told() {
    let bench = Bench::new();
    bench.write("go/go.mod", "module x\n\ngo 1.21\n\nrequire example.com/dep v1.2.3\n");
    bench.write("go/vendor/modules.txt", "# example.com/dep v1.2.3\n## explicit\nexample.com/dep\n");
    bench.write("go/vendor/example.com/dep/dep.go", "package dep\n\nconst Word = \"word\"\n");
    bench.write(
        "go/main.go",
        "package main\n\nimport \"example.com/dep\"\n\nfunc main() { println(dep.Word) }\n",
    );
    let (images, root) = (images(), setting("ZIPSHIP_GO_ROOT"));
    let cache = bench.path("cache");
    let copied = Command::new("cp").arg("-a").arg(setting("ZIPSHIP_GO_CACHE")).arg(&cache).status();
    assert!(copied.expect("cp runs").success());
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let mut arguments = ["build", "go", "--runtime", "golang", "--images-dir"].map(str::to_owned).to_vec();
    arguments.extend([text(&images), "--go-root".into(), text(&root), "--go-cache".into(), text(&cache)]);
    arguments.extend(FILES.map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    json(&bench.run(&arguments));
    let sbom = read(&bench, "sbom.json");
    let found = packages(&sbom);
    assert!(found.contains(&"pkg:golang/example.com/dep@v1.2.3"), "{found:?}");
    let version = fs::read_to_string(root.join("VERSION")).expect("go's version");
    let version = version.lines().next().and_then(|line| line.strip_prefix("go")).expect("a version");
    assert!(found.contains(&&*format!("pkg:golang/stdlib@{version}")), "{found:?}");
    let provenance = fs::read_to_string(bench.path("provenance.json")).expect("a file");
    assert!(provenance.contains(&format!("pkg:golang/toolchain@{version}")), "{provenance}");
    validate(&bench);
}

/// regclient's client.
fn regctl(address: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(setting("ZIPSHIP_CLIENTS").join("regctl/regctl"));
    let host = format!("reg={address},user=ci,pass={PASSWORD},tls=disabled");
    command.args(["--host", &host]).args(arguments).output().expect("regctl runs")
}

/// The kinds of documents that regctl finds for an image, in their order.
fn listed(address: &str, image: &str) -> Vec<String> {
    let output = regctl(address, &["artifact", "list", "--format", "{{json .Descriptors}}", image]);
    let descriptors = json(&output);
    let descriptors = descriptors.as_array().expect("a list").iter();
    let mut kinds: Vec<_> =
        descriptors.map(|one| one["artifactType"].as_str().expect("a type").to_owned()).collect();
    kinds.sort();
    kinds
}

const KINDS: [&str; 2] = ["application/spdx+json", "application/vnd.in-toto+json"];

/// Builds, pushes, and looks with other eyes. Answers whether the registry lists documents by itself.
fn attached(bench: &Bench, address: &str) -> bool {
    let tag = format!("{address}/team/hello:1");
    let built = json(&bench.build(&[&["-t", &tag], &FILES[..]].concat()));
    let attached = built["pushed"][0]["attached"].as_array().expect("documents").clone();
    assert_eq!(attached.len(), 2);
    assert_eq!(listed(address, &tag), KINDS);
    let get = ["artifact", "get", "--subject", &tag, "--filter-artifact-type", KINDS[0]];
    let got = succeeded(&regctl(address, &get));
    assert_eq!(got, fs::read_to_string(bench.path("sbom.json")).expect("a file"));
    // Once more: the same documents are listed once.
    json(&bench.build(&[&["-t", &tag], &FILES[..]].concat()));
    assert_eq!(listed(address, &tag), KINDS);
    let shown = json(&bench.run(&["inspect", &tag, "--insecure", "--json"]));
    let mut kinds: Vec<_> =
        shown["attached"].as_array().expect("documents").iter().map(|one| &one["artifact_type"]).collect();
    kinds.sort_by_key(|kind| kind.as_str());
    assert_eq!(kinds, KINDS);
    attached.iter().all(|one| one["listed_by_registry"] == true)
}

#[test]
fn other_clients_find_the_documents_in_our_registry() {
    let bench = with_packages();
    assert!(attached(&bench, &bench.address.clone()));
}

#[test]
fn other_clients_find_the_documents_where_the_registry_does_not_list_them() {
    let (bench, registry) = (with_packages(), DockerRegistry::start());
    assert!(!attached(&bench, &registry.address));
}

#[test]
fn a_layout_has_the_documents_beside_the_image_and_pushes_them() {
    let bench = with_packages();
    let built = json(&bench.build(&[
        "--sbom",
        "--provenance",
        "-o",
        "oci-layout:l",
        "-o",
        "oci-archive:a.tar",
        "--json",
    ]));
    let at = |form: &str, name: &str| format!("{form}:{}:latest", bench.path(name).display());
    assert_eq!(skopeo(&[&at("oci", "l")])["Digest"], built["digest"]);
    assert_eq!(skopeo(&[&at("oci-archive", "a.tar")])["Digest"], built["digest"]);
    let shown = succeeded(&bench.run(&["inspect", "l"]));
    assert_eq!(shown.matches("attached ").count(), 2, "{shown}");
    let tag = format!("{}/team/later:1", bench.address);
    let pushed = json(&bench.run(&["push", "l", &tag, "--insecure", "--json"]));
    assert_eq!(pushed[0]["digest"], built["digest"]);
    assert_eq!(listed(&bench.address, &tag), KINDS);
}

/// Debian's docker-registry, which knows nothing of referrers.
struct DockerRegistry {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl DockerRegistry {
    fn start() -> Self {
        let program: PathBuf = setting("ZIPSHIP_CLIENTS").join("docker-registry/usr/bin/docker-registry");
        let directory = tempfile::tempdir().expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let (store, configuration) = (directory.path().join("store"), directory.path().join("config.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {free}}}\n",
            store.display()
        );
        fs::write(&configuration, text).expect("a file");
        let mut command = Command::new(program);
        command.arg("serve").arg(&configuration).env("OTEL_TRACES_EXPORTER", "none");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("docker-registry starts");
        let registry = Self { child, address: free.to_string(), _directory: directory };
        let started = Instant::now();
        while std::net::TcpStream::connect(free).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
