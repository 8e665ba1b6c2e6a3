//! Images for several machines under one name: an index goes in, every client chooses its machine's image, and what is
//! unpacked for the other machine runs there (here under qemu's user emulator).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use zipship_tests::{LoneShim, in_root};

use super::{
    containerd::Containerd, crane, function::Function, output, podman::Podman, skopeo, tree, world::World,
};
use crate::lone::{PUBLIC, elf, executable};

const BOTH: &[&str] = &["--platform", "linux/arm64,linux/amd64"];
/// Architectures by name, in the order of our indexes, and `e_machine` of their programs.
const MACHINES: [(&str, u16); 2] = [("amd64", 62), ("arm64", 183)];
/// The emulator in an unpacked root.
const QEMU: &str = "/qemu";

/// What lies in an unpacked root is the function, for this machine.
fn assert_is_of(root: &Path, function: &Function, machine: u16) {
    assert_eq!(elf(&root.join("usr/local/bin/zipship-shim")), (machine, false));
    if function.runtime == "golang" {
        assert_eq!(elf(&root.join("home/app/function/handler")), (machine, false));
    } else {
        tree::assert_is_of(root, &function.archive);
    }
}

fn document(text: Vec<u8>) -> Value {
    serde_json::from_slice(&text).unwrap()
}

/// The architectures of an index, in its order.
fn architectures(index: &Value) -> Vec<&str> {
    let manifests = index["manifests"].as_array().unwrap().iter();
    manifests.map(|one| one["platform"]["architecture"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_an_index_whole_and_each_machines_image_runs_there() -> anyhow::Result<()> {
    let world = World::new().await?;
    for function in [Function::node(), Function::python(), Function::golang()] {
        let pushed = world.push(&function, BOTH);
        for (registry, reference) in [("ours", &pushed.ours), ("theirs", &pushed.theirs)] {
            let index = document(skopeo::inspect(&world, &["--raw"], reference));
            assert_eq!(architectures(&index), ["amd64", "arm64"], "{index}");
            let whole = world.path(&format!("whole-{registry}-{}", function.name));
            skopeo::copy_with(&world, &[], &["--all"], reference, &format!("oci:{}", whole.display()));
            let kept = document(fs::read(whole.join("index.json"))?);
            assert_eq!(kept["manifests"][0]["digest"], pushed.digest, "{kept}");
        }
        for (name, machine) in MACHINES {
            let layout = format!("{}:1", world.path(&format!("{name}-{}", function.name)).display());
            let chosen = ["--override-arch", name];
            skopeo::copy_with(&world, &chosen, &[], &pushed.ours, &format!("oci:{layout}"));
            let config = output(
                Command::new("skopeo")
                    .args(chosen)
                    .args(["inspect", "--config"])
                    .arg(format!("oci:{layout}")),
            );
            let config = document(config);
            assert_eq!(config["architecture"], name, "{config}");
            let root = skopeo::unpack(&world, &layout);
            assert_is_of(&root, &function, machine);
            if name == "arm64" {
                runs_emulated(&world, root, &config, &function).await?;
            }
        }
    }
    world.end()
}

/// The image as its configuration starts it, but for the emulator before each of its programs.
async fn runs_emulated(
    world: &World,
    root: PathBuf,
    config: &Value,
    function: &Function,
) -> anyhow::Result<()> {
    fs::copy(world.tool("ZIPSHIP_AARCH64", "host/usr/bin/qemu-aarch64-static"), root.join(&QEMU[1..]))?;
    let null = root.join("dev/null");
    if !null.exists() {
        output(Command::new("mknod").args(["-m", "666"]).arg(&null).args(["c", "1", "3"]));
    }
    let entries = config["config"]["Env"].as_array().unwrap().iter();
    let entries = entries.map(|entry| entry.as_str().unwrap().split_once('=').unwrap());
    let emulated = |(name, value): (&str, &str)| {
        let behind = (name == "ZIPSHIP_WORKER").then(|| value.replacen('[', &format!("[\"{QEMU}\","), 1));
        (name.to_owned(), behind.unwrap_or_else(|| value.to_owned()))
    };
    let environment: Vec<_> = entries.map(emulated).collect();
    let program = root.join("home/app/function/handler");
    if function.runtime == "golang" {
        fs::rename(&program, program.with_extension("arm64"))?;
        executable(&program, &format!("#!{QEMU} /home/app/function/handler.arm64\n"));
    }
    let mut command = in_root(&root, QEMU);
    command.arg(config["config"]["Entrypoint"][0].as_str().unwrap());
    let environment = environment.iter().map(|(name, value)| (&**name, &**value));
    let shim = LoneShim::start(&mut command, environment.chain(PUBLIC.iter().copied()))?;
    assert_eq!(shim.get("/", None).await?, (200, function.answer.to_owned()), "{}", function.runtime);
    assert_eq!(shim.stop()?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn crane_validates_an_index_and_exports_each_machines_tree() -> anyhow::Result<()> {
    let world = World::new().await?;
    for function in [Function::node(), Function::golang()] {
        let pushed = world.push(&function, BOTH);
        for (registry, reference) in [("ours", &pushed.ours), ("theirs", &pushed.theirs)] {
            let said = String::from_utf8(output(&mut crane::crane(&world, &["digest", reference])))?;
            assert_eq!(said.trim(), pushed.digest);
            let index = document(output(&mut crane::crane(&world, &["manifest", reference])));
            assert_eq!(architectures(&index), ["amd64", "arm64"], "{index}");
            crane::validate(&world, &[], reference);
            for ((name, machine), one) in MACHINES.iter().zip(index["manifests"].as_array().unwrap()) {
                let platform = format!("linux/{name}");
                let said = output(&mut crane::crane(&world, &["digest", "--platform", &platform, reference]));
                assert_eq!(String::from_utf8(said)?.trim(), one["digest"]);
                crane::validate(&world, &["--platform", &platform], reference);
                let root = world.path(&format!("{registry}-{name}-{}", function.name));
                crane::export(&world, &["--platform", &platform], reference, &root, "");
                assert_is_of(&root, &function, *machine);
            }
        }
    }
    world.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_and_containerd_choose_their_machines_image_or_the_one_that_is_named() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (podman, containerd) = (Podman::new(&world), Containerd::start(&world));
    for function in [Function::python(), Function::golang()] {
        let pushed = world.push(&function, BOTH);
        for reference in [&pushed.ours, &pushed.theirs] {
            for (name, machine) in MACHINES {
                podman.pull_for(&world, name, reference);
                let root = world.path(&format!("podman-{name}-{}", function.name));
                podman.export(reference, &root);
                assert_is_of(&root, &function, machine);
                fs::remove_dir_all(&root)?;
            }
            podman.pull(&world, reference);
            podman.run(reference, &function).await;
        }
        for (name, machine) in MACHINES {
            containerd.shows(&pushed.theirs, &format!("linux/{name}"), |root| {
                assert_is_of(root, &function, machine);
            });
        }
        containerd.run(&pushed.theirs, &function).await;
    }
    drop((podman, containerd));
    world.end()
}
