//! podman pulls, loads and runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{answer, function::Function, output, skopeo, world::World};

/// podman with a storage and locks of its own and no systemd behind it; what it stores goes when this is dropped.
pub(super) struct Podman {
    folder: PathBuf,
}

impl Podman {
    pub(super) fn new(world: &World) -> Self {
        let folder = world.path("podman");
        fs::create_dir(&folder).unwrap();
        // Locks in files: those in shared memory are one set for the whole machine.
        let locks = "[engine]\nlock_type = \"file\"\n";
        fs::write(folder.join("containers.conf"), locks).unwrap();
        Self { folder }
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut podman = Command::new("podman");
        podman.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        for (option, folder) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            podman.arg(option).arg(self.folder.join(folder));
        }
        podman.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        podman.args(arguments);
        podman
    }

    pub(super) fn pull(&self, world: &World, reference: &str) {
        output(self.pull_command(world).arg(reference));
    }

    fn pull_command(&self, world: &World) -> Command {
        let mut pull = self.command(&["pull", "--quiet", "--tls-verify=false", "--authfile"]);
        pull.arg(world.login_file());
        pull
    }

    /// The image for an architecture.
    pub(super) fn pull_for(&self, world: &World, architecture: &str, reference: &str) {
        output(self.pull_command(world).args(["--arch", architecture, reference]));
    }

    /// The whole tree of an image that is in the storage, into a folder that is made.
    pub(super) fn export(&self, image: &str, root: &Path) {
        fs::create_dir(root).unwrap();
        let id = output(&mut self.command(&["create", "--pull", "never", image]));
        let id = String::from_utf8(id).unwrap();
        let tar = root.with_extension("tar");
        output(self.command(&["export", "--output"]).arg(&tar).arg(id.trim()));
        output(Command::new("tar").args(["-x", "-p", "-C"]).arg(root).arg("-f").arg(&tar));
        fs::remove_file(tar).unwrap();
        output(&mut self.command(&["rm", id.trim()]));
    }

    fn load(&self, archive: &str) {
        output(&mut self.command(&["load", "--quiet", "--input", archive]));
    }

    /// `run`, of an image that is in the storage, as far as this machine has to have it; the rest is the caller's.
    pub(super) fn run_command(&self, arguments: &[&str]) -> Command {
        let mut run = self.command(&["run", "--network", "host", "--pull", "never"]);
        // Podman asks for more than some machines grant.
        run.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]).args(arguments);
        run
    }

    /// Runs an image that is in the storage, and compares its first answer.
    pub(super) async fn run(&self, image: &str, function: &Function) {
        let port = zipship_tests::free_port().unwrap();
        let name = format!("zipship-clients-{port}");
        let mut run = self.run_command(&["--detach", "--name", &name]);
        run.args(["-e", "SCW_PUBLIC=true", "-e", &format!("PORT={port}"), image]);
        output(&mut run);
        let log = || String::from_utf8_lossy(&output(&mut self.command(&["logs", &name]))).into_owned();
        let said = answer(&port, log).await;
        output(&mut self.command(&["rm", "--force", "--time", "0", &name]));
        assert_eq!(said, function.answer, "{image}");
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Containers of a test that failed, and the mount that would keep the folder.
        let _ = self.command(&["rm", "--all", "--force", "--time", "0"]).output();
        let _ = Command::new("umount").arg(self.folder.join("root/overlay")).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_and_runs_node_python_and_go_from_both_registries() -> anyhow::Result<()> {
    let world = World::new().await?;
    let podman = Podman::new(&world);
    for function in [Function::node(), Function::python(), Function::golang()] {
        let pushed = world.push(&function, &[]);
        for reference in [&pushed.ours, &pushed.theirs] {
            podman.pull(&world, reference);
            podman.run(reference, &function).await;
        }
    }
    drop(podman);
    world.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_loads_and_runs_docker_archives_of_ours_and_of_skopeos() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (podman, node, python) = (Podman::new(&world), Function::node(), Function::python());
    let archive = |name: &str| world.path(name).display().to_string();
    // Ours names the image as it would be pushed.
    let pushed = world.push(&node, &["-o", &format!("docker-archive:{}", archive("ours.tar"))]);
    podman.load(&archive("ours.tar"));
    podman.run(&pushed.ours, &node).await;

    let pushed = world.push(&python, &[]);
    let saved = "example.org/saved:1";
    skopeo::copy(&world, &pushed.ours, &format!("docker-archive:{}:{saved}", archive("skopeos.tar")));
    podman.load(&archive("skopeos.tar"));
    podman.run(saved, &python).await;
    drop(podman);
    world.end()
}
