//! Images on a user's own base.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use builder::foreign::{Dressed, Files, ForeignBase, ForeignError, Origin, dress};
use builder::precompile::{Caches, Precompile, PrecompileError, PrecompileJob};
use builder::zip::ArchiveLimits;
use builder::{Architecture, BuildRequest, Built, Description};
use contract::runtime::Runtime;
use flate2::write::GzEncoder;
use oci::config::ImageConfig;
use oci::layer::MemoryLayer;
use oci::manifest::{
    DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, Family, OCI_LAYER_GZIP, OCI_MANIFEST,
};
use oci::{Digest, Image, ImageLayer};

use crate::archive::{Item, zip};

/// A layer of empty executables.
fn layer(programs: &[&str]) -> ImageLayer {
    let mut tar = tar::Builder::new(Vec::new());
    for path in programs {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, path, std::io::empty()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    let layer = MemoryLayer::gzip(gzip.finish().unwrap().into(), Digest::of(&tar));
    ImageLayer::mounted(Arc::new(layer), "own/base")
}

fn base(family: Family, programs: &[&str], environment: &[&str]) -> Image {
    let mut config = ImageConfig::default();
    config.config.env = environment.iter().map(|entry| (*entry).to_owned()).collect();
    config.config.labels.insert("team".into(), "a".into());
    Image::assemble_as(family, config, vec![layer(programs)], BTreeMap::new())
}

/// A shim, which is nothing but a static executable's header, and one worker for each language.
fn programs(folder: &Path) {
    let mut elf = vec![0; 64 + 56];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    // x86-64, and one segment behind the header that wants no loader.
    (elf[0x12], elf[0x20], elf[0x36], elf[0x38], elf[64]) = (62, 64, 56, 1, 1);
    fs::write(folder.join("shim"), elf).unwrap();
    for worker in ["node/worker.js", "python/worker.py"] {
        let path = folder.join(worker);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "worker").unwrap();
    }
}

fn dressed(image: &Image, runtime: Runtime, interpreter: Option<&str>) -> Result<Dressed, ForeignError> {
    let folder = tempfile::tempdir().unwrap();
    programs(folder.path());
    let files = Files::of(image)?;
    dress(&ForeignBase {
        image,
        origin: &origin(image),
        architecture: Architecture::Amd64,
        runtime,
        shim: &folder.path().join("shim"),
        workers: folder.path(),
        interpreter,
        files: files.as_ref(),
    })
}

fn origin(image: &Image) -> Origin {
    Origin { name: "r.example/own/base:1".into(), digest: image.digest(), index: Some(Digest::of(b"index")) }
}

fn build(
    image: &Image,
    annotations: &BTreeMap<String, String>,
    precompile: Option<&dyn Precompile>,
) -> Built {
    let base = dressed(image, Runtime::Node22, None).unwrap().base;
    let archive = zip(&[Item::deflated("handler.js", b"1")]);
    builder::build(&BuildRequest {
        archive: &archive,
        runtime: Runtime::Node22,
        handler: "handler.handle",
        base: &base,
        limits: ArchiveLimits::default(),
        compile: None,
        precompile,
        labels: &BTreeMap::new(),
        description: Description { origin: Some(&origin(image)), annotations: Some(annotations) },
        layers: builder::layer::LayerOptions::default(),
    })
    .unwrap()
}

fn worker(image: &Image, runtime: Runtime, interpreter: Option<&str>) -> String {
    let base = dressed(image, runtime, interpreter).unwrap().base;
    let config = base.image.parsed_config().unwrap().config;
    config.env_value("ZIPSHIP_WORKER").unwrap_or("none").to_owned()
}

#[test]
fn the_shim_lies_on_the_base_and_the_function_on_the_shim() {
    let image = base(Family::Oci, &["usr/local/bin/node"], &["PATH=/usr/local/bin"]);
    let built = build(&image, &BTreeMap::new(), None).image;
    let mounts: Vec<_> = built.layers.iter().map(|layer| layer.mount_from.as_deref()).collect();
    assert_eq!(mounts, [Some("own/base"), None, None]);
    assert_eq!(built.layers[0].layer.digest(), image.layers[0].layer.digest());
    let (config, manifest) = (built.parsed_config().unwrap().config, built.parsed_manifest().unwrap());
    assert_eq!(config.entrypoint, ["/usr/local/bin/zipship-shim"]);
    assert_eq!(config.env_value("SCW_HANDLER"), Some("handler.handle"));
    assert_eq!(config.labels["team"], "a");
    for said in [&config.labels, &manifest.annotations] {
        assert_eq!(said["org.opencontainers.image.base.name"], "r.example/own/base:1");
        assert_eq!(said["org.opencontainers.image.base.digest"], image.digest().as_str());
        assert_eq!(said["zipship.base.index.digest"], Digest::of(b"index").as_str());
    }
    assert_eq!(manifest.annotations["org.opencontainers.image.title"], "handler.handle (node22)");
    assert!(manifest.annotations["org.opencontainers.image.created"].starts_with("1970-01-01T00:00:00"));
    assert_eq!(built.digest(), build(&image, &BTreeMap::new(), None).image.digest());
}

#[test]
fn a_docker_base_stays_docker_until_annotations_are_wanted() {
    let image = base(Family::Docker, &["bin/node"], &[]);
    let built = build(&image, &BTreeMap::new(), None).image;
    let manifest = built.parsed_manifest().unwrap();
    assert_eq!((&*built.media_type, &*manifest.config.media_type), (DOCKER_MANIFEST, DOCKER_CONFIG));
    assert!(manifest.layers.iter().all(|layer| layer.media_type == DOCKER_LAYER_GZIP));
    assert!(manifest.annotations.is_empty());
    // Without annotations it is the labels that name the base.
    let labels = built.parsed_config().unwrap().config.labels;
    assert_eq!(labels["org.opencontainers.image.base.digest"], image.digest().as_str());

    let annotations = [("org.opencontainers.image.source".to_owned(), "here".to_owned())].into();
    let built = build(&image, &annotations, None).image;
    let manifest = built.parsed_manifest().unwrap();
    assert_eq!(built.media_type, OCI_MANIFEST);
    assert!(manifest.layers.iter().all(|layer| layer.media_type == OCI_LAYER_GZIP), "{manifest:?}");
    assert_eq!(manifest.annotations["org.opencontainers.image.source"], "here");
}

#[test]
fn a_docker_base_with_a_zstd_layer_becomes_an_oci_image() {
    let gzip = layer(&["bin/node"]);
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzip.layer.open().unwrap()), &mut tar)
        .unwrap();
    let bytes: bytes::Bytes = zstd::encode_all(&*tar, 3).unwrap().into();
    let (digest, diff_id) = (Digest::of(&bytes), Digest::of(&tar));
    let media_type = oci::manifest::DOCKER_LAYER_ZSTD.to_owned();
    let zstd = ImageLayer::new(Arc::new(MemoryLayer { bytes, digest, diff_id, media_type }));
    let config = ImageConfig::default();
    let image = Image::assemble_as(Family::Docker, config, vec![zstd, layer(&["bin/ls"])], BTreeMap::new());
    // Its interpreter is found in the compressed layer.
    let built = build(&image, &BTreeMap::new(), None).image;
    let types: Vec<String> =
        built.parsed_manifest().unwrap().layers.into_iter().map(|layer| layer.media_type).collect();
    assert_eq!(built.media_type, OCI_MANIFEST);
    assert_eq!(types[0], oci::manifest::OCI_LAYER_ZSTD);
    assert!(types[1..].iter().all(|kind| kind == OCI_LAYER_GZIP), "{types:?}");
}

#[test]
fn the_interpreter_is_the_bases_own() {
    let both = base(Family::Oci, &["opt/bin/node", "bin/python3", "srv/node-x"], &["PATH=/opt/bin:/bin"]);
    assert_eq!(
        worker(&both, Runtime::Node22, None),
        r#"["/opt/bin/node","/usr/local/lib/zipship/node/worker.js"]"#
    );
    assert_eq!(
        worker(&both, Runtime::Python313, None),
        r#"["/bin/python3","-u","/usr/local/lib/zipship/python/worker.py"]"#
    );
    assert!(worker(&both, Runtime::Node22, Some("/srv/node-x")).starts_with(r#"["/srv/node-x","#));
    assert_eq!(worker(&base(Family::Oci, &[], &[]), Runtime::Golang, None), "none");
    let own = r#"["/x","/y.js"]"#;
    let says = base(Family::Oci, &[], &[&format!("ZIPSHIP_WORKER={own}")]);
    assert_eq!(worker(&says, Runtime::Node22, None), own);
}

#[test]
fn a_base_without_an_interpreter_is_told_what_is_missing() {
    let empty = base(Family::Oci, &["bin/ls"], &["PATH=/bin:/opt/bin"]);
    let error = |runtime, interpreter| dressed(&empty, runtime, interpreter).unwrap_err().to_string();
    let said = error(Runtime::Node22, None);
    assert!(said.starts_with("it has no node or nodejs for node22 (looked in /bin:/opt/bin)"), "{said}");
    let said = error(Runtime::Python27, None);
    assert!(said.starts_with("it has no python2 or python2.7 or python for python "), "{said}");
    assert!(error(Runtime::Node22, Some("/opt/node")).contains("/opt/node"));
    let wrong = base(Family::Oci, &[], &["ZIPSHIP_WORKER=node"]);
    let said = dressed(&wrong, Runtime::Node22, None).unwrap_err().to_string();
    assert!(said.contains("JSON array") && said.ends_with(": node"), "{said}");
}

/// The files of a layer.
fn paths(layer: &ImageLayer) -> Vec<String> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(layer.layer.open().unwrap()));
    let entries = tar.entries().unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.header().entry_type().is_file());
    files.map(|entry| entry.path().unwrap().display().to_string()).collect()
}

/// Caches that are known.
struct Fixed;

impl Precompile for Fixed {
    fn precompile(&self, job: &PrecompileJob<'_>) -> Result<Caches, PrecompileError> {
        assert_eq!(job.tree.files().collect::<Vec<_>>(), ["handler.js"]);
        Ok(Caches {
            files: vec![("cache/x".into(), b"1".to_vec())],
            workers: vec![("usr/local/lib/zipship/x".into(), b"2".to_vec())],
            warnings: vec!["a.js does not compile: no".into()],
        })
    }
}

#[test]
fn compiled_caches_are_a_layer_of_their_own_on_top() {
    let image = base(Family::Oci, &["bin/node"], &[]);
    let (with, without) =
        (build(&image, &BTreeMap::new(), Some(&Fixed)), build(&image, &BTreeMap::new(), None));
    let digests = |built: &Built| -> Vec<Digest> {
        built.image.layers.iter().map(|layer| layer.layer.digest().clone()).collect()
    };
    assert_eq!(digests(&with)[..3], digests(&without)[..]);
    // The workers' lie below the function's.
    let paths: Vec<Vec<String>> = with.image.layers[3..].iter().map(paths).collect();
    assert_eq!(paths, [vec!["usr/local/lib/zipship/x"], vec!["home/app/function/cache/x"]]);
    assert_eq!(
        with.image.parsed_config().unwrap().config.env_value("NODE_COMPILE_CACHE"),
        Some("/home/app/function/.node-compile-cache")
    );
    assert_eq!(with.report.warnings, ["a.js does not compile: no"]);
}
