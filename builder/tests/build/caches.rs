//! Compiled caches portion by portion: dependencies apart from code, and not again while they are the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use builder::base::Base;
use builder::layer::{LayerCache, LayerOptions, Part};
use builder::precompile::{Caches, Portions, Precompile, PrecompileError, PrecompileJob};
use builder::zip::ArchiveLimits;
use builder::{BuildRequest, Built};
use contract::runtime::Runtime;
use oci::{Digest, Image};

use crate::archive::{Item, zip};

/// Makes a cache of every source, and remembers which sources it was shown.
#[derive(Default)]
struct Recorded(Mutex<Vec<Vec<String>>>);

impl Recorded {
    /// What was compiled since this was asked last.
    fn take(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Precompile for Recorded {
    fn precompile(&self, job: &PrecompileJob<'_>) -> Result<Caches, PrecompileError> {
        let sources: Vec<String> =
            job.tree.files().filter(|path| path.ends_with(".py")).map(str::to_owned).collect();
        let files = sources.iter().filter(|path| !path.contains("bare"));
        let files = files.map(|path| (format!("{path}c"), path.clone().into_bytes())).collect();
        self.0.lock().unwrap().push(sources);
        Ok(Caches { files, ..Caches::default() })
    }

    fn portions(&self) -> Portions {
        Portions::Parts
    }
}

fn base(name: &str) -> Base {
    let mut config = oci::config::ImageConfig::default();
    config.config.env = vec![format!("NAME={name}")];
    let image = Image::assemble(config, Vec::new(), BTreeMap::new());
    Base {
        runtime: "python311".into(),
        architecture: builder::Architecture::HOST,
        digest: image.digest(),
        image,
        layout: "/nowhere".into(),
    }
}

fn function(code: &str, package: &[u8]) -> Vec<u8> {
    zip(&[
        Item::deflated("handler.py", code.as_bytes()),
        Item::deflated("package/dep.py", b"X = 1\n"),
        Item::stored("package/large.bin", package),
    ])
}

fn build(folder: &Path, base: &Base, archive: &[u8], precompile: &dyn Precompile) -> Built {
    let cache = LayerCache::open(folder, 1 << 30).unwrap();
    builder::build(&BuildRequest {
        archive,
        runtime: Runtime::Python311,
        handler: "handler.handle",
        base,
        limits: ArchiveLimits::default(),
        compile: None,
        precompile: Some(precompile),
        labels: &BTreeMap::new(),
        description: builder::Description::default(),
        layers: LayerOptions { cache: Some(&cache), ..LayerOptions::default() },
    })
    .unwrap()
}

fn digests(built: &Built) -> Vec<Digest> {
    built.image.layers.iter().map(|layer| layer.layer.digest().clone()).collect()
}

#[test]
fn dependencies_are_compiled_again_only_when_they_or_the_base_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (base("one"), base("other"));
    // Worth keeping.
    let package = vec![7; 300 << 10];
    let recorded = Recorded::default();
    let build = |base: &Base, code: &str, package: &[u8]| {
        build(folder.path(), base, &function(code, package), &recorded)
    };
    let (both, code) = ([vec!["package/dep.py"], vec!["handler.py"]], [vec!["handler.py"]]);

    let first = build(&one, "1", &package);
    assert_eq!(recorded.take(), both);
    let parts: Vec<_> = first.report.layers.iter().map(|layer| (layer.part, layer.kept)).collect();
    let new = [Part::Dependencies, Part::Code, Part::Caches, Part::Caches].map(|part| (part, false));
    assert_eq!(parts, new);

    let again = build(&one, "1", &package);
    assert_eq!(recorded.take(), code);
    assert_eq!(digests(&again), digests(&first));
    assert_eq!(again.image.digest(), first.image.digest());
    assert!(again.report.layers[2].kept);

    let changed = build(&one, "2", &package);
    assert_eq!(recorded.take(), code);
    assert_eq!(digests(&changed)[2], digests(&first)[2]);

    build(&other, "1", &package);
    assert_eq!(recorded.take(), both, "another interpreter");
    build(&one, "1", &vec![8; 300 << 10]);
    assert_eq!(recorded.take(), both, "other packages");
    build(&one, "1", &package[..1000]);
    build(&one, "1", &package[..1000]);
    assert_eq!(recorded.take().len(), 4, "what is small is not kept");
}

#[test]
fn without_anything_compiled_there_is_no_layer() {
    let folder = tempfile::tempdir().unwrap();
    let archive = zip(&[Item::deflated("bare.py", b"1"), Item::deflated("package/bare.py", b"1")]);
    let cache = LayerCache::open(folder.path(), 1 << 30).unwrap();
    let recorded = Recorded::default();
    let request = BuildRequest {
        archive: &archive,
        runtime: Runtime::Python311,
        handler: "bare.handle",
        base: &base("one"),
        limits: ArchiveLimits::default(),
        compile: None,
        precompile: Some(&recorded),
        labels: &BTreeMap::new(),
        description: builder::Description::default(),
        layers: LayerOptions { cache: Some(&cache), ..LayerOptions::default() },
    };
    let with = builder::build(&request).unwrap();
    let without = builder::build(&BuildRequest { precompile: None, ..request }).unwrap();
    assert_eq!(with.image.digest(), without.image.digest());
}
