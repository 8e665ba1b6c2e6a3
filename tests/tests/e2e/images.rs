//! Every image that there is a recipe for, built twice by `zipship images verify`: the same bytes, and as large as
//! docs/images.md says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Architectures, and the lock that a recipe has for each.
const LOCKS: [(&str, &str); 2] = [("amd64", "lock.toml"), ("arm64", "lock.arm64.toml")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of all recipes.
fn names() -> Vec<String> {
    let entries = fs::read_dir(root().join("images")).unwrap().map(|entry| entry.unwrap());
    let recipes = entries.filter(|entry| entry.path().join("recipe.toml").exists());
    recipes.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// What `zipship images verify` says of all images, for every architecture.
fn verified(names: &[String]) -> Vec<Value> {
    // It takes both cores for minutes, and the tests beside it have deadlines.
    let mut verify = Command::new("nice");
    verify.args(["-n", "19"]).arg(root().join("scripts/images")).args(["verify", "--json", "--arch", "all"]);
    verify.args(names);
    let output = verify.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `| node22 | amd64 | 44,512,345 | 117,012,345 |`, for the layer of the runtime: that of the shim is another one with
/// every change of ours.
fn row(image: &Value) -> String {
    let runtime = &image["layers"][0];
    let bytes = |field: &str| grouped(&runtime[field].to_string());
    let [name, architecture] = ["runtime", "architecture"].map(|field| image[field].as_str().unwrap());
    format!("| {name} | {architecture} | {} | {} |", bytes("size"), bytes("unpacked_bytes"))
}

fn grouped(digits: &str) -> String {
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[test]
fn every_image_is_reproduced_and_as_large_as_its_page_says() {
    let names = names();
    let images = verified(&names);
    let found: BTreeSet<(&str, &str)> = images
        .iter()
        .map(|image| (image["runtime"].as_str().unwrap(), image["architecture"].as_str().unwrap()))
        .collect();
    let has_lock = |name: &str, lock: &str| root().join("images").join(name).join(lock).exists();
    let expected: BTreeSet<(&str, &str)> = names
        .iter()
        .flat_map(|name| LOCKS.map(|(architecture, lock)| (name.as_str(), architecture, lock)))
        .filter(|(name, _, lock)| has_lock(name, lock))
        .map(|(name, architecture, _)| (name, architecture))
        .collect();
    assert_eq!(found, expected);
    for image in &images {
        let digests = &image["digests"];
        assert!(image["reproduced"] == true && digests[0] == digests[1], "{image}");
    }

    let page = fs::read_to_string(root().join("docs/images.md")).unwrap();
    for image in &images {
        let licenses = image["licenses"].as_str().unwrap();
        assert!(page.contains(&format!("| {licenses} |")), "docs/images.md does not say {licenses}");
    }
    let told: BTreeSet<String> = page
        .lines()
        .filter(|line| line.contains("| amd64 |") || line.contains("| arm64 |"))
        .map(str::to_owned)
        .collect();
    let measured: BTreeSet<String> = images.iter().map(row).collect();
    let rows = measured.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(told == measured, "docs/images.md says other sizes than these:\n{rows}");
}
