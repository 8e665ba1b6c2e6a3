//! Bases for arm64: put together on this machine without running anything of them, and they run where they belong
//! (here under qemu's user emulator).

use std::fs;

use builder::Architecture;
use builder::base::{self, BaseError, Recipe};

use crate::root::Root;
use crate::{World, built_for};

fn of(runtime: &str) -> Root {
    Root::of(&World::new().build_for(runtime, Architecture::Arm64))
}

#[test]
fn node_on_arm64_starts() {
    let root = of("node22");
    assert_eq!(root.run(&["/usr/local/bin/node", "--version"]), "v22.23.3\n");
    let script = "require('tls').createSecureContext(); console.log(process.arch, process.getuid())";
    assert_eq!(root.run(&["/usr/local/bin/node", "-e", script]), "arm64 1000\n");
}

#[test]
fn python_on_arm64_starts_with_what_this_machine_compiled() {
    let root = of("python311");
    let script = "import json, ssl, sqlite3, zoneinfo, platform, os, ctypes\n\
                  assert len(ssl.create_default_context().get_ca_certs()) > 100\n\
                  assert ctypes.CDLL('libstdc++.so.6')\n\
                  loader = json.__spec__.loader\n\
                  assert loader.path_stats(json.__file__) and os.path.exists(json.__cached__)\n\
                  print(platform.machine(), platform.python_version_tuple()[1], os.getuid())";
    assert_eq!(root.run(&["/usr/bin/python3.11", "-c", script]), "aarch64 11 1000\n");
    // Taken, not only there: nothing is compiled at this start.
    let source = root.path().join("usr/lib/python3.11/json/__init__.py");
    fs::write(&source, "raise SystemExit('compiled again')").unwrap();
    assert_eq!(root.run(&["/usr/bin/python3.11", "-c", "import json; print(json.loads('1'))"]), "1\n");
}

#[test]
fn compiled_files_are_the_same_for_both_machines() {
    let world = World::new();
    let [amd64, arm64] =
        Architecture::ALL.map(|architecture| Root::of(&world.build_for("python39", architecture)));
    let compiled =
        |root: &Root| fs::read(root.path().join("usr/lib/python3.9/__pycache__/ast.cpython-39.pyc"));
    assert_eq!(compiled(&amd64).unwrap(), compiled(&arm64).unwrap());
    let bases = base::list(&world.images()).unwrap();
    let found: Vec<_> = bases.iter().map(|base| (base.runtime.as_str(), base.architecture)).collect();
    assert_eq!(found, [("python39", Architecture::Amd64), ("python39", Architecture::Arm64)]);
}

#[test]
fn a_go_base_for_arm64_runs_its_shim() {
    let root = built_for("golang", Architecture::Arm64, 2);
    assert_eq!(root.run(&["/usr/local/bin/zipship-shim"]), "");
}

#[test]
fn what_was_never_published_for_arm64_is_refused_by_name() {
    for runtime in ["node8", "node12"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../images").join(runtime);
        let error = Recipe::load(&folder, Architecture::Arm64).unwrap_err();
        assert!(matches!(&error, BaseError::NotForArchitecture { .. }), "{error}");
        assert!(error.to_string().contains(runtime), "{error}");
    }
}
