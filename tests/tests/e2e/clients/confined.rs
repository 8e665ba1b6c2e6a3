//! `zipship build` as a careful CI job runs it: in a container, as an ordinary user without capabilities or new
//! privileges, on a read-only root.

use serde_json::Value;

use super::{function::Function, output, podman::Podman, world::World};

/// In which it runs: any image with a C library will do.
const JOB: &str = "job";

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_on_a_read_only_root_builds_the_same_image_and_pushes_it() -> anyhow::Result<()> {
    let world = World::new().await?;
    let podman = Podman::new(&world);
    let (node, mut job) = (Function::node(), Function::python());
    job.name = JOB;
    let job = world.push(&job, &[]).ours;
    podman.pull(&world, &job);

    // Built outside into no registry: no layer of it is there already.
    let outside = world.build(&node, &["-o", &format!("oci-layout:{}", world.path("layout").display())]);
    let reference = world.reference(&node);
    let inside = podman.command(&["run", "--rm", "--read-only", "--network", "host", "--pull", "never"]);
    let built = output(&mut world.build_in(inside, &job, &node, &reference));
    let built: Value = serde_json::from_slice(&built)?;
    assert_eq!(built["digest"], outside["digest"], "{built}");

    podman.pull(&world, &reference);
    podman.run(&reference, &node).await;
    drop(podman);
    world.end()
}
