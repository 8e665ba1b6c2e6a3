//! Images on a user's own base, for one machine and for several: what is moved, what is pinned, what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use base64::Engine as _;
use oci::client::{Client, Credentials, Options};
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::{Digest, Image, ImageIndex, ImageLayer, Reference};
use serde_json::Value;

use crate::build::{Bench, PASSWORD, auth, images, json, skopeo, succeeded};
use crate::harness::setting;

/// A base of a user's: nothing in it but a text, since nothing of it is run here.
fn image(architecture: &str, text: &'static str) -> Image {
    let mut config = ImageConfig { architecture: architecture.into(), ..ImageConfig::default() };
    config.config.env = vec!["PATH=/usr/bin".into(), "TEAM=a".into()];
    let tar = bytes::Bytes::from_static(text.as_bytes());
    let layer = MemoryLayer {
        digest: Digest::of(&tar),
        diff_id: Digest::of(&tar),
        bytes: tar,
        media_type: oci::manifest::OCI_LAYER_TAR.into(),
    };
    Image::assemble(config, vec![ImageLayer::new(Arc::new(layer))], BTreeMap::new())
}

fn several(text: &'static str) -> ImageIndex {
    ImageIndex::assemble(vec![image("amd64", text), image("arm64", text)], BTreeMap::new()).expect("an index")
}

impl Bench {
    fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// Pushes what is not zipship's: a base, as somebody else's pipeline does.
    fn push_base(&self, index: &ImageIndex, rest: &str) -> String {
        let name = self.reference(rest);
        let reference = Reference::parse(&name).expect("a reference");
        let credentials = Credentials::Basic { user: "ci".into(), password: PASSWORD.into() };
        let options = Options { credentials, plain_http: true, ..Options::default() };
        let client = Client::new(options).expect("a client");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(client.push_index(index, &reference, None)).expect("pushed");
        name
    }

    /// `zipship build` with the shims and workers of this checkout.
    fn build_on(&self, base: &str, runtime: &str, arguments: &[&str]) -> Output {
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let shim = text(&setting("ZIPSHIP_SHIM"));
        let arm64 = format!("arm64={}", text(&setting("ZIPSHIP_AARCH64_SHIM")));
        let workers = text(&setting("ZIPSHIP_WORKERS"));
        let fixed = ["build", "function", "--runtime", runtime, "--insecure", "--base", base, "--workers"];
        let shims = ["--platform", "linux/amd64", "--shim", &shim, "--shim", &arm64];
        // A platform that is named by the test comes instead.
        let shims = if arguments.contains(&"--platform") { &shims[2..] } else { &shims[..] };
        self.run(&[&fixed, &[&*workers][..], shims, arguments].concat())
    }

    fn both_passwords(&self, other: &Bench) {
        let entry = |bench: &Bench| format!(r#""{}": {{"auth": "{}"}}"#, bench.address, auth("ci", PASSWORD));
        self.write("config.json", &format!(r#"{{"auths": {{{}, {}}}}}"#, entry(self), entry(other)));
    }
}

fn words(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    words(output)
}

/// The layout of one of our own bases: it serves as a user's, too.
fn layout(runtime: &str) -> String {
    let folder = images().join(runtime);
    let key = fs::read_to_string(folder.join("current")).expect("scripts/build made it");
    format!("oci-layout:{}", folder.join(key).display())
}

#[test]
fn a_base_of_the_same_registry_is_linked_and_one_of_another_is_copied() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench.both_passwords(&other);
    let base = bench.push_base(&several("base"), "team/base:1");
    let first = json(&bench.build_on(&base, "node10", &["-t", &bench.reference("team/f:1"), "--json"]));
    assert_eq!(first["pushed"][0]["mounted"], 1, "{first}");
    let seen = json(&bench.run(&["inspect", &bench.reference("team/f:1"), "--insecure", "--json"]));
    let environment = seen["config"]["config"]["Env"].as_array().expect("an array");
    assert!(environment.contains(&"TEAM=a".into()), "{seen}");
    assert_eq!(seen["annotations"]["org.opencontainers.image.base.name"], *base);
    assert_eq!(
        seen["annotations"]["org.opencontainers.image.base.digest"],
        image("amd64", "base").digest().as_str()
    );
    assert_eq!(seen["annotations"]["zipship.base.index.digest"], several("base").digest().as_str());

    let elsewhere = other.reference("team/f:1");
    let copied = bench.build_on(&base, "node10", &["-t", &elsewhere, "--json", "--insecure-base"]);
    let copied = json(&copied);
    assert_eq!((&copied["digest"], &copied["pushed"][0]["mounted"]), (&first["digest"], &0.into()));
    let creds = format!("ci:{PASSWORD}");
    let seen = skopeo(&["--tls-verify=false", "--creds", &creds, &format!("docker://{elsewhere}")]);
    assert_eq!(seen["Digest"], first["digest"]);
    // All of it is there, the base's layer too: it can be taken on from there.
    let folder = bench.path("copy");
    let status = std::process::Command::new("skopeo")
        .args(["copy", "--quiet", "--src-tls-verify=false", "--src-creds", &creds])
        .args([format!("docker://{elsewhere}"), format!("dir:{}", folder.display())])
        .status();
    assert!(status.expect("skopeo runs").success());
    assert!(folder.join(Digest::of(b"base").hex()).exists());
}

#[test]
fn several_machines_make_an_index_that_others_read() {
    let bench = Bench::new();
    let base = bench.push_base(&several("base"), "team/base:1");
    let tag = bench.reference("team/f:1");
    let all = ["--platform", "all", "-t", &tag, "-o", "oci-layout:l", "-o", "oci-archive:a.tar", "--json"];
    let built = json(&bench.build_on(&base, "node10", &all));
    let platforms: Vec<&Value> =
        built["images"].as_array().expect("an array").iter().map(|one| &one["platform"]).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let creds = format!("ci:{PASSWORD}");
    for (arch, digest) in [("amd64", &built["images"][0]["digest"]), ("arm64", &built["images"][1]["digest"])]
    {
        let output = std::process::Command::new("skopeo")
            .args(["--override-arch", arch, "inspect", "--tls-verify=false", "--creds", &creds])
            .arg(format!("docker://{tag}"))
            .output()
            .expect("skopeo runs");
        let seen: Value = serde_json::from_str(&succeeded(&output)).expect("JSON");
        assert_eq!(seen["Architecture"], arch);
        // skopeo prints the index's digest, and the layers of the image that it chose.
        assert_eq!(seen["Digest"], built["digest"]);
        let one = bench.reference(&format!("team/f@{}", digest.as_str().expect("text")));
        let mine = json(&bench.run(&["inspect", &one, "--insecure", "--json"]));
        let layers: Vec<&Value> =
            mine["layers"].as_array().expect("an array").iter().map(|layer| &layer["digest"]).collect();
        assert_eq!(seen["Layers"].as_array().expect("an array").iter().collect::<Vec<_>>(), layers);
    }
    let told = succeeded(&bench.run(&["inspect", &tag, "--insecure"]));
    assert!(told.contains("linux/arm64") && told.contains(built["digest"].as_str().expect("text")), "{told}");
    // The same again from the layout, and a list of platforms is as good as all.
    let pushed = json(&bench.run(&["push", "l", &bench.reference("team/g:1"), "--insecure", "--json"]));
    assert_eq!(pushed[0]["digest"], built["digest"]);
    let listed = ["--platform", "linux/arm64,linux/amd64", "--json"];
    assert_eq!(json(&bench.build_on(&base, "node10", &listed))["digest"], built["digest"]);

    let said = refused(&bench.build_on(&base, "node10", &["--platform", "all", "-o", "docker-archive:d"]), 1);
    assert!(said.contains("one machine") && !bench.path("d").exists(), "{said}");
}

#[test]
fn go_is_compiled_for_the_images_machine() {
    let bench = Bench::new();
    bench.write("function/main.go", "package main\n\nfunc main() { println(\"hello\") }\n");
    let base = bench.push_base(&several("base"), "team/base:1");
    let go = setting("ZIPSHIP_GO_ROOT");
    let arguments =
        ["--platform", "linux/arm64", "--go-root", go.to_str().expect("text"), "-o", "oci-layout:l"];
    succeeded(&bench.build_on(&base, "golang", &arguments));
    let oci::layout::Stored::Image(image) = oci::layout::open(&bench.path("l")).expect("a layout") else {
        panic!("one image")
    };
    assert_eq!(image.parsed_config().expect("JSON").architecture, "arm64");
    let program = image.layers.last().expect("a layer").layer.open().expect("opened");
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(program));
    let mut entries = tar.entries().expect("a tar");
    let handler = entries.find(|entry| {
        let path = entry.as_ref().expect("an entry").path().expect("a path").into_owned();
        path == Path::new("home/app/function/handler")
    });
    let mut header = [0; 20];
    std::io::Read::read_exact(&mut handler.expect("it is there").expect("an entry"), &mut header)
        .expect("bytes");
    // EM_AARCH64.
    assert_eq!((&header[..4], header[18]), (b"\x7fELF".as_slice(), 183));
}

#[test]
fn a_tag_is_pinned_and_when_it_moves_that_is_told() {
    let bench = Bench::new();
    let (one, two) = (several("one"), several("two"));
    let base = bench.push_base(&one, "team/base:1");
    let lock = bench.path("function/zipship.lock");
    let locked = refused(&bench.build_on(&base, "node10", &["--locked"]), 1);
    assert!(locked.contains("is not pinned") && !lock.exists(), "{locked}");

    let built = bench.build_on(&base, "node10", &["--json"]);
    let (first, said) = (json(&built), words(&built));
    assert!(said.contains(&format!("pinned {base} to {}", one.digest())), "{said}");
    let text = fs::read_to_string(&lock).expect("a lock");
    assert!(text.contains(&base) && text.contains(one.digest().as_str()), "{text}");
    // The lock is not of the function: the same image again, and nothing is said.
    let again = bench.build_on(&base, "node10", &["--json", "--locked"]);
    assert_eq!((json(&again), words(&again)), (with_time_of(&again, &first), String::new()));

    bench.push_base(&two, "team/base:1");
    let moved = bench.build_on(&base, "node10", &["--json"]);
    let said = words(&moved);
    assert!(said.starts_with("warning: ") && said.contains("moved"), "{said}");
    assert!(said.contains(one.digest().as_str()) && said.contains(two.digest().as_str()), "{said}");
    assert_eq!(json(&moved)["digest"], first["digest"], "the pinned one is used");
    assert_eq!(fs::read_to_string(&lock).expect("a lock"), text);
    let said = refused(&bench.build_on(&base, "node10", &["--locked"]), 1);
    assert!(said.contains("moved") && said.contains(two.digest().as_str()), "{said}");

    let updated = bench.build_on(&base, "node10", &["--json", "--update-base"]);
    assert_ne!(json(&updated)["digest"], first["digest"]);
    assert!(fs::read_to_string(&lock).expect("a lock").contains(two.digest().as_str()));
    assert!(succeeded(&bench.build_on(&base, "node10", &["--locked"])).contains("image sha256:"));

    // By its digest it needs no pin; elsewhere the lock lies where it is said.
    let exact = bench.reference(&format!("team/base@{}", one.digest()));
    let exact = json(&bench.build_on(&exact, "node10", &["--json", "--lock", "no/such/folder"]));
    assert_ne!(exact["digest"], first["digest"], "the name is recorded, so it is another image");
    succeeded(&bench.build_on(&base, "node10", &["--lock", "other.lock"]));
    assert!(bench.path("other.lock").exists());
    let unwritable = bench.build_on(&base, "node10", &["--lock", "no/such/folder/zipship.lock"]);
    succeeded(&unwritable);
    assert!(words(&unwritable).contains("is not pinned, for no/such/folder"), "{}", words(&unwritable));
}

/// `value` with the build time of another run.
fn with_time_of(output: &Output, value: &Value) -> Value {
    let mut value = value.clone();
    value["build_ms"] = json(output)["build_ms"].clone();
    value
}

#[test]
fn what_is_no_base_is_told_before_anything_is_built() {
    let bench = Bench::new();
    let said = refused(&bench.build_on(&layout("golang"), "node10", &[]), 1);
    assert!(said.contains("has no node or nodejs for node10 (looked in /usr/local/bin:/usr/bin)"), "{said}");
    let said = refused(&bench.build_on(&layout("python311"), "python313", &["--platform", "linux/arm64"]), 1);
    assert!(said.contains("no image for linux/arm64; it has: linux/amd64"), "{said}");
    let base = bench.push_base(&several("base"), "team/base:1");
    let gone = base.replace(":1", ":2");
    assert!(refused(&bench.build_on(&gone, "node10", &[]), 3).contains("404"));
    assert!(refused(&bench.build_on("node:22", "node10", &[]), 2).contains("registry"));
    bench.log_in("wrong-horse");
    let said = refused(&bench.build_on(&base, "node10", &["--insecure-base"]), 3);
    assert!(said.contains("401") && !said.contains("wrong-horse"), "{said}");
}

#[test]
fn a_layout_on_disk_is_a_base_too() {
    let bench = Bench::new();
    let built = json(&bench.build_on(&layout("node10"), "node10", &["-o", "oci-layout:l", "--json"]));
    let told = succeeded(&bench.run(&["inspect", "l"]));
    // Found in its layers.
    assert!(told.contains(r#"["/usr/local/bin/node","#), "{told}");
    assert!(told.contains(built["digest"].as_str().expect("text")), "{told}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(PASSWORD);
    assert!(!told.contains(&encoded));
    assert!(
        !PathBuf::from("function/zipship.lock").exists() && !bench.path("function/zipship.lock").exists()
    );
}
