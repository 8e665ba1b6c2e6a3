//! Layers that are not the default's, in the hands of those clients that read them: Debian's umoci and crane's
//! `validate` know no zstd.

use super::{containerd::Containerd, function::Function, podman::Podman, skopeo, tree, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_every_compression_are_run_and_unpacked() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (podman, containerd, function) = (Podman::new(&world), Containerd::start(&world), Function::node());
    for compression in ["gzip:6", "zstd:3", "none"] {
        let pushed = world.push(&function, &["--compression", compression]);
        podman.pull(&world, &pushed.ours);
        podman.run(&pushed.ours, &function).await;
        containerd.assert_unpacks(&pushed.theirs, &[], &function);
        if compression != "zstd:3" {
            let layout = format!("{}:1", world.path(&compression.replace(':', "-")).display());
            skopeo::copy(&world, &pushed.ours, &format!("oci:{layout}"));
            tree::assert_is_of(&skopeo::unpack(&world, &layout), &function.archive);
        }
    }
    drop((podman, containerd));
    world.end()
}
