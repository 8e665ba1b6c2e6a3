//! The arrows between our crates, as ARCHITECTURE.md draws them.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// What each crate may use of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("runtime-shim", &["contract"]),
    ("oci", &["contract"]),
    ("builder", &["contract", "oci"]),
    ("registry", &["contract", "oci"]),
    ("runner", &["contract", "oci"]),
    ("gateway", &["contract"]),
    ("api-server", &["contract", "oci", "builder", "registry", "runner", "gateway"]),
    ("cli", &["contract", "oci", "builder", "registry", "runner", "gateway", "api-server"]),
    ("zipship-tests", &["contract"]),
    ("zipship-fuzz", &["runtime-shim", "builder", "oci"]),
    ("zipship-bench", &["contract", "builder", "zipship-tests"]),
];

/// Crates that must stay without certain others: what they may never do.
const ABSENT: &[(&str, &[&str], &str)] = &[
    ("contract", &["tokio", "hyper", "axum", "reqwest", "rustix", "libc", "sqlx"], "contract does no I/O"),
    ("oci", &["axum", "sqlx"], "oci serves nothing and stores nothing"),
    (
        "builder",
        &["axum", "sqlx"],
        "the builder serves nothing but the modules of one Go build, and stores nothing",
    ),
    ("gateway", &["sqlx", "reqwest", "rustix"], "the gateway knows neither store nor sandboxes"),
    ("runner", &["axum", "hyper", "sqlx", "reqwest"], "what has privileges speaks no HTTP"),
    ("runtime-shim", &["axum", "reqwest", "sqlx"], "the shim is in every container: small"),
];

/// What only a crate's own tests use is not asked about.
#[test]
fn the_crates_use_only_what_the_map_allows() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().map(|(name, _)| name.as_str()).collect();
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, listed, "every crate of the workspace is listed here");
    for (name, dependencies) in &packages {
        let allowed: &[&str] = ARROWS.iter().find(|(listed, _)| listed == name).map_or(&[], |(_, uses)| uses);
        for dependency in dependencies.iter().filter(|dependency| ours.contains(dependency.as_str())) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} uses {dependency}; it may use {allowed:?}"
            );
        }
    }
}

#[test]
fn the_crates_do_without_what_they_promise_to_do_without() {
    let packages = packages();
    for (name, absent, promise) in ABSENT {
        let (_, dependencies) = packages.iter().find(|(listed, _)| listed == name).unwrap();
        for dependency in *absent {
            assert!(!dependencies.contains(*dependency), "{promise}, but {name} uses {dependency}");
        }
    }
}

/// Each crate of the workspace with its dependencies, without those of its tests.
fn packages() -> Vec<(String, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn package(package: &Value) -> (String, BTreeSet<String>) {
    let dependencies = package["dependencies"].as_array().unwrap();
    let used = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    let names = used.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
    (package["name"].as_str().unwrap().to_owned(), names)
}
