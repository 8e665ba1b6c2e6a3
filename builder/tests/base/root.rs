//! An image's layers unpacked, and programs run in them as the image's user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::Architecture;
use builder::base::Base;
use flate2::read::MultiGzDecoder;

/// An unpacked image. Programs run in it as uid 1000 when the test is root, else in a user namespace.
pub(crate) struct Root {
    folder: tempfile::TempDir,
    environment: Vec<String>,
    /// For another machine's programs: the emulator, which lies in the image's root.
    emulator: Option<&'static str>,
}

impl Root {
    pub(crate) fn of(base: &Base) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for layer in &base.image.layers {
            let mut archive = tar::Archive::new(MultiGzDecoder::new(layer.layer.open().unwrap()));
            archive.set_preserve_ownerships(is_root());
            archive.set_preserve_permissions(true);
            archive.unpack(folder.path()).unwrap();
        }
        let environment = base.image.parsed_config().unwrap().config.env;
        let emulator = (base.architecture == Architecture::Arm64).then(|| {
            fs::copy(qemu(), folder.path().join("qemu")).unwrap();
            "/qemu"
        });
        Self { folder, environment, emulator }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Standard output of a program in the image; it must succeed.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let mut program = if is_root() {
            let mut chroot = Command::new("chroot");
            chroot.arg("--userspec=1000:1000").arg(self.path());
            chroot
        } else {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-user=1000", "--keep-caps", "chroot"]).arg(self.path());
            unshare
        };
        let environment = self.environment.iter().filter_map(|entry| entry.split_once('='));
        // The tools themselves must be found; PATH of the image names folders of this machine as well.
        let output = program
            .args(self.emulator)
            .args(command)
            .env_clear()
            .envs(environment)
            .env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin")
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && complaints.is_empty(),
            "{command:?}: {}\n{complaints}",
            output.status
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything that is no directory.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found
    }
}

/// The user emulator that `scripts/setup test` unpacks.
fn qemu() -> PathBuf {
    let tools = std::env::var_os("ZIPSHIP_AARCH64").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/zipship/aarch64"),
        PathBuf::from,
    );
    let qemu = tools.join("host/usr/bin/qemu-aarch64-static");
    assert!(
        qemu.exists(),
        "{} is missing: run `scripts/setup test`, and source `scripts/env`",
        qemu.display()
    );
    qemu
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}
