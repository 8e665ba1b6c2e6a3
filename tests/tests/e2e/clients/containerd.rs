//! containerd pulls, mounts and runs: Debian's, on a socket and in a folder of its own.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, POLL_EVERY, answer, function::Function, output, tree, world::World};

/// Told to stop when dropped.
pub(super) struct Containerd {
    daemon: Child,
    programs: PathBuf,
    socket: PathBuf,
    /// Where images are mounted.
    mounted: PathBuf,
}

impl Containerd {
    pub(super) fn start(world: &World) -> Self {
        let programs = world.client("containerd/usr/bin");
        let folder = world.path("containerd");
        fs::create_dir(&folder).unwrap();
        let (socket, configuration, log) =
            (folder.join("socket"), folder.join("config.toml"), folder.join("log"));
        let at = |name: &str| folder.join(name).display().to_string();
        let text = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = {socket:?}\n[plugins.\"io.containerd.internal.v1.opt\"]\npath = {:?}\n",
            at("root"),
            at("state"),
            at("opt")
        );
        fs::write(&configuration, text).unwrap();
        let said = File::create(&log).unwrap();
        let mut command = Command::new(programs.join("containerd"));
        command.arg("--config").arg(&configuration).stdin(Stdio::null());
        command.stdout(said.try_clone().unwrap()).stderr(said);
        // It looks for its shims there.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([programs.clone()].into_iter().chain(std::env::split_paths(&path)));
        let daemon = command.env("PATH", path.unwrap()).spawn().unwrap();
        let mounted = folder.join("mounted");
        fs::create_dir(&mounted).unwrap();
        let containerd = Self { daemon, programs, socket, mounted };
        let end = Instant::now() + DEADLINE;
        while UnixStream::connect(&containerd.socket).is_err() {
            assert!(Instant::now() < end, "containerd: {}", fs::read_to_string(&log).unwrap());
            thread::sleep(POLL_EVERY);
        }
        containerd
    }

    fn ctr(&self, arguments: &[&str]) -> Command {
        let mut ctr = Command::new(self.programs.join("ctr"));
        ctr.arg("--address").arg(&self.socket).args(arguments);
        ctr
    }

    /// Pulls an image; what it unpacks is the archive's tree.
    pub(super) fn assert_unpacks(&self, reference: &str, login: &[&str], function: &Function) {
        output(&mut self.ctr(&[&["images", "pull", "--plain-http"], login, &[reference]].concat()));
        self.mounted(reference, &[], |root| tree::assert_is_of(root, &function.archive));
    }

    /// Shows an image that is in the store, mounted.
    fn mounted(&self, reference: &str, options: &[&str], look: impl FnOnce(&Path)) {
        let mounted = self.mounted.to_str().unwrap();
        output(&mut self.ctr(&[&["images", "mount"], options, &[reference, mounted]].concat()));
        look(&self.mounted);
        output(&mut self.ctr(&["images", "unmount", "--rm", mounted]));
    }

    /// Shows the image for a platform out of a registry's index, mounted.
    pub(super) fn shows(&self, reference: &str, platform: &str, look: impl FnOnce(&Path)) {
        let platform = ["--platform", platform];
        output(&mut self.ctr(&[&["images", "pull", "--plain-http"], &platform[..], &[reference]].concat()));
        self.mounted(reference, &platform, look);
    }

    pub(super) async fn run(&self, image: &str, function: &Function) {
        let port = zipship_tests::free_port().unwrap();
        let name = format!("zipship-clients-{port}");
        let (port_variable, public) = (format!("PORT={port}"), "SCW_PUBLIC=true");
        let run = ["run", "--detach", "--net-host", "--env", &port_variable, "--env", public, image, &name];
        output(&mut self.ctr(&run));
        let said = answer(&port, || {
            String::from_utf8_lossy(&output(&mut self.ctr(&["tasks", "list"]))).into_owned()
        })
        .await;
        output(&mut self.ctr(&["tasks", "delete", "--force", &name]));
        output(&mut self.ctr(&["containers", "delete", &name]));
        assert_eq!(said, function.answer, "{image}");
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Of a test that failed: they would outlive the daemon.
        if let Ok(tasks) = self.ctr(&["tasks", "list", "--quiet"]).output() {
            for task in String::from_utf8_lossy(&tasks.stdout).lines() {
                let _ = self.ctr(&["tasks", "delete", "--force", task]).output();
            }
        }
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let _ = self.daemon.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_pulls_mounts_and_runs_from_both_registries() -> anyhow::Result<()> {
    let world = World::new().await?;
    let containerd = Containerd::start(&world);
    let credentials = world.credentials();
    for function in [Function::node(), Function::python()] {
        let pushed = world.push(&function, &[]);
        let login = ["--user", &credentials];
        for (reference, login) in [(&pushed.ours, &login[..]), (&pushed.theirs, &[])] {
            containerd.assert_unpacks(reference, login, &function);
            containerd.run(reference, &function).await;
        }
    }
    drop(containerd);
    world.end()
}
