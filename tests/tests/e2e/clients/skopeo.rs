//! skopeo copies, and umoci unpacks what it copied.

use std::{path::PathBuf, process::Command};

use super::{function::Function, output, tree, world::World};

/// Out of a registry.
pub(super) fn copy(world: &World, from: &str, to: &str) {
    copy_with(world, &[], &[], from, to);
}

/// Out of a registry, with options before and behind the word `copy`.
pub(super) fn copy_with(world: &World, before: &[&str], behind: &[&str], from: &str, to: &str) {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(before).args(["copy", "--quiet", "--insecure-policy", "--src-tls-verify=false"]);
    skopeo.args(behind).arg("--authfile").arg(world.login_file());
    output(skopeo.arg(format!("docker://{from}")).arg(to));
}

/// What a registry has.
pub(super) fn inspect(world: &World, options: &[&str], reference: &str) -> Vec<u8> {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--tls-verify=false"]).args(options).arg("--authfile").arg(world.login_file());
    output(skopeo.arg(format!("docker://{reference}")))
}

/// `umoci unpack` as an ordinary user would.
pub(super) fn unpack(world: &World, layout: &str) -> PathBuf {
    let bundle = world.path(&format!("bundle-{}", layout.replace(['/', ':'], "-")));
    output(Command::new("umoci").args(["unpack", "--rootless", "--image", layout]).arg(&bundle));
    bundle.join("rootfs")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_skopeo_copies_and_umoci_unpacks_is_the_archives_tree() -> anyhow::Result<()> {
    let world = World::new().await?;
    for function in [Function::node(), Function::python()] {
        let pushed = world.push(&function, &[]);
        for (registry, reference) in [("ours", &pushed.ours), ("theirs", &pushed.theirs)] {
            let layout = world.path(&format!("{registry}-{}", function.name));
            let layout = format!("{}:1", layout.display());
            copy(&world, reference, &format!("oci:{layout}"));
            let digest = output(
                Command::new("skopeo")
                    .args(["inspect", "--format", "{{.Digest}}"])
                    .arg(format!("oci:{layout}")),
            );
            assert_eq!(String::from_utf8(digest)?.trim(), pushed.digest);
            tree::assert_is_of(&unpack(&world, &layout), &function.archive);
        }
    }
    world.end()
}
