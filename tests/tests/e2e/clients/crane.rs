//! crane validates every byte, and exports the tree.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{function::Function, output, tree, world::World};

pub(super) fn crane(world: &World, arguments: &[&str]) -> Command {
    let mut crane = Command::new(world.client("crane/crane"));
    crane.arg("--insecure").args(arguments).env("DOCKER_CONFIG", world.login_file().parent().unwrap());
    crane
}

/// Every byte of what a registry has is what its digests say.
pub(super) fn validate(world: &World, options: &[&str], reference: &str) {
    let said = output(&mut crane(world, &[&["validate"], options, &["--remote", reference]].concat()));
    assert!(said.starts_with(b"PASS"), "{}", String::from_utf8_lossy(&said));
}

/// Unpacks a part of an image, or all of it, into a folder that is made.
pub(super) fn export(world: &World, options: &[&str], reference: &str, root: &Path, part: &str) {
    fs::create_dir(root).unwrap();
    let arguments = [&["export"], options, &[reference, "-"]].concat();
    let mut export = crane(world, &arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-x", "-p", "-f", "-", "-C"]).arg(root).args(Some(part).filter(|part| !part.is_empty()));
    output(tar.stdin(export.stdout.take().unwrap()));
    assert!(export.wait().unwrap().success(), "crane export");
}

#[tokio::test(flavor = "multi_thread")]
async fn crane_finds_nothing_wrong_and_exports_the_archives_tree() -> anyhow::Result<()> {
    let world = World::new().await?;
    for function in [Function::node(), Function::python(), Function::golang()] {
        let pushed = world.push(&function, &[]);
        for (registry, reference) in [("ours", &pushed.ours), ("theirs", &pushed.theirs)] {
            let digest = String::from_utf8(output(&mut crane(&world, &["digest", reference])))?;
            assert_eq!(digest.trim(), pushed.digest);
            validate(&world, &[], reference);
            // Of a Go function the image has the program, not the sources.
            if function.runtime == "golang" {
                continue;
            }
            let root = world.path(&format!("{registry}-{}", function.name));
            export(&world, &[], reference, &root, "home/app/function");
            tree::assert_is_of(&root, &function.archive);
        }
    }
    world.end()
}
