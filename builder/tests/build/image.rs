//! The whole build, on a base of two bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use builder::base::Base;
use builder::golang::{Compile, CompileError, CompileJob};
use builder::layer::{LayerOptions, Part};
use builder::zip::ArchiveLimits;
use builder::{BuildError, BuildRequest, Built};
use contract::runtime::Runtime;
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::{Digest, Image, ImageLayer};

use crate::archive::{Item, zip};

fn base() -> Base {
    let mut config = ImageConfig::default();
    config.config.env = vec!["PATH=/bin".into()];
    let layer = MemoryLayer::gzip(bytes::Bytes::from_static(b"base"), Digest::of(b"diff"));
    let image = Image::assemble(config, vec![ImageLayer::new(Arc::new(layer))], BTreeMap::new());
    Base {
        runtime: "node10".into(),
        architecture: builder::Architecture::Amd64,
        digest: image.digest(),
        image,
        layout: "/nowhere".into(),
    }
}

fn build(base: &Base, handler: &str, archive: &[u8]) -> Result<Built, BuildError> {
    builder::build(&BuildRequest {
        archive,
        runtime: Runtime::Node10,
        handler,
        base,
        limits: ArchiveLimits::default(),
        compile: None,
        precompile: None,
        labels: &[("zipship.version".to_owned(), "1".to_owned())].into(),
        description: builder::Description::default(),
        layers: LayerOptions::default(),
    })
}

#[test]
fn code_and_dependencies_lie_on_the_base() {
    let archive = zip(&[Item::deflated("src/h.js", b"1"), Item::stored("node_modules/a/i.js", b"2")]);
    let base = base();
    let built = build(&base, "src/h.run", &archive).unwrap();
    let image = &built.image;
    let config = image.parsed_config().unwrap();
    assert_eq!(config.config.env, ["PATH=/bin", "SCW_HANDLER=src/h.run"]);
    assert_eq!(config.config.labels["zipship.version"], "1");
    assert_eq!((config.rootfs.diff_ids.len(), config.history.len()), (3, 2));
    let mounts: Vec<Option<&str>> = image.layers.iter().map(|l| l.mount_from.as_deref()).collect();
    assert_eq!(mounts, [Some("base/node10"), None, None]);
    let manifest = image.parsed_manifest().unwrap();
    assert_eq!(manifest.annotations["org.opencontainers.image.base.digest"], base.digest.as_str());
    assert_eq!(manifest.annotations["org.opencontainers.image.base.name"], "base/node10");
    let parts: Vec<Part> = built.report.layers.iter().map(|l| l.part).collect();
    assert_eq!(parts, [Part::Dependencies, Part::Code]);
    assert_eq!(build(&base, "src/h.run", &archive).unwrap().image.digest(), image.digest());
    // Changing the code leaves the dependencies' layer alone.
    let changed = zip(&[Item::deflated("src/h.js", b"9"), Item::stored("node_modules/a/i.js", b"2")]);
    let again = build(&base, "src/h.run", &changed).unwrap().image;
    assert_eq!(again.layers[1].layer.digest(), image.layers[1].layer.digest());
    assert_ne!(again.layers[2].layer.digest(), image.layers[2].layer.digest());
}

#[test]
fn docker_bases_stay_docker() {
    let mut base = base();
    base.image.media_type = oci::manifest::DOCKER_MANIFEST.to_owned();
    let image = build(&base, "h.run", &zip(&[Item::stored("h.js", b"1")])).unwrap().image;
    let manifest = image.parsed_manifest().unwrap();
    assert_eq!(image.media_type, oci::manifest::DOCKER_MANIFEST);
    assert_eq!(manifest.config.media_type, oci::manifest::DOCKER_CONFIG);
    assert_eq!(manifest.layers[1].media_type, oci::manifest::DOCKER_LAYER_GZIP);
    assert!(manifest.annotations.is_empty());
}

#[test]
fn failures_say_what_to_do() {
    let base = base();
    let said = |handler: &str, archive: &[u8]| build(&base, handler, archive).unwrap_err().to_string();
    let archive = zip(&[Item::stored("a.js", b"1"), Item::stored("b.js", b"1")]);
    assert_eq!(
        said("handler.js", &archive),
        "handler file handler.js is not in the archive; it has: a.js, b.js"
    );
    assert!(said("handler.run", b"no zip").starts_with("the archive is not a zip: "));
    assert!(said("a.run", &zip(&[Item::stored("a.js", b"1").with(|i| i.crc ^= 1)])).contains("checksum"));
}

/// A compiler whose programs are known.
struct Fixed(Result<Vec<u8>, CompileError>);

impl Compile for Fixed {
    fn compile(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        assert_eq!(job.argv.last().map(String::as_str), Some("./hello"));
        self.0.clone()
    }
}

/// The package `hello` of an archive.
fn build_go(archive: &[u8], compile: Option<&dyn Compile>) -> Result<Built, BuildError> {
    builder::build(&BuildRequest {
        archive,
        runtime: Runtime::Golang,
        handler: "hello",
        base: &base(),
        limits: ArchiveLimits::default(),
        compile,
        precompile: None,
        labels: &BTreeMap::new(),
        description: builder::Description::default(),
        layers: LayerOptions::default(),
    })
}

#[test]
fn a_label_says_which_go_made_the_program() {
    let main = b"package main\nfunc main() {}\n";
    let archive = zip(&[
        Item::stored("go.mod", b"module example.com/x\n\ngo 1.21\n"),
        Item::stored("hello/main.go", main),
    ]);
    let label = |compile: &dyn Compile| {
        let built = build_go(&archive, Some(compile)).unwrap();
        built.image.parsed_config().unwrap().config.labels.get("zipship.go.version").cloned()
    };
    let version = crate::golang::toolchain_version();
    assert!(version.starts_with("1."), "{version}");
    assert_eq!(label(&crate::golang::compiler()), Some(version));
    // What is no program of Go's says nothing of itself, and neither do we.
    assert_eq!(label(&Fixed(Ok(b"ELF".to_vec()))), None);
}

#[test]
fn of_a_go_archive_only_the_program_is_in_the_image() {
    let archive = zip(&[Item::stored("hello/main.go", b"package main"), Item::stored("readme", b"1")]);
    let build = |compile: Option<&dyn Compile>| build_go(&archive, compile);
    let built = build(Some(&Fixed(Ok(b"ELF".to_vec())))).unwrap();
    assert_eq!(built.image.layers[0].mount_from.as_deref(), Some("base/golang"));
    let layer = built.image.layers[1].layer.open().unwrap();
    let mut files = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(layer)).entries().unwrap() {
        let entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            files.push((entry.path().unwrap().display().to_string(), entry.header().mode().unwrap()));
        }
    }
    assert_eq!(files, [("home/app/function/handler".to_owned(), 0o755)]);
    let rejected = CompileError::Rejected("./main.go:1:1: no".to_owned());
    assert_eq!(build(Some(&Fixed(Err(rejected)))).unwrap_err().to_string(), "./main.go:1:1: no");
    assert!(matches!(build(None), Err(BuildError::NoCompiler)));
}
