//! The static shim of this machine on bases that are not ours: a root with nothing in it, and a user's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use zipship_tests::{LoneShim, Place, in_root};

use crate::lone::{LARGEST, PRIVATE, PUBLIC, TOKEN, elf, go_program};

/// `EM_X86_64`.
const X86_64: u16 = 62;

/// A root directory with the shim at `/zipship-shim` and the one device that every container runtime makes.
struct Root {
    place: Place,
    folder: TempDir,
}

impl Root {
    fn new() -> Self {
        let place = Place::find().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = Self { place, folder };
        root.copy(&root.place.existing("ZIPSHIP_SHIM").unwrap(), "zipship-shim");
        let null = root.path("dev/null");
        let made =
            Command::new("mknod").args(["-m", "666"]).arg(&null).args(["c", "1", "3"]).status().unwrap();
        assert!(made.success(), "{}", null.display());
        root
    }

    /// A path below the root; its folder is there.
    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn copy(&self, from: &Path, to: &str) {
        fs::copy(from, self.path(to)).unwrap();
    }

    /// A program with the libraries that it loads, where it looks for them.
    fn copy_with_libraries(&self, from: &Path, to: &str) {
        self.copy(from, to);
        let listed = Command::new("ldd").arg(from).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let libraries: Vec<_> =
            listed.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':')).collect();
        assert!(!libraries.is_empty(), "{listed}");
        for library in libraries {
            self.copy(Path::new(library), library);
        }
    }

    fn start(&self, arguments: &[&str], environment: &[&[(&str, &str)]]) -> anyhow::Result<LoneShim> {
        let mut command = in_root(self.folder.path(), "/zipship-shim");
        LoneShim::start(command.args(arguments), environment.iter().copied().flatten().copied())
    }
}

#[test]
fn the_binary_is_static_and_small() {
    let shim = Place::find().unwrap().existing("ZIPSHIP_SHIM").unwrap();
    assert_eq!(elf(&shim), (X86_64, false));
    let size = fs::metadata(&shim).unwrap().len();
    assert!(size <= LARGEST, "{size} bytes");
}

#[tokio::test]
async fn it_runs_in_an_empty_root_public_and_private() -> anyhow::Result<()> {
    let root = Root::new();
    let compiled = tempfile::tempdir()?;
    let program = go_program(&root.place, "http", "amd64", compiled.path());
    root.copy(&program, "/opt/my/program");
    let port = zipship_tests::free_port()?;
    let golang = [("ZIPSHIP_LANGUAGE", "golang"), ("SCW_UPSTREAM_PORT", &*port)];
    let options = ["--code", "/opt/my", "--handler", "/opt/my/program"];

    let public = root.start(&options, &[&golang, PUBLIC])?;
    assert_eq!(public.get("/a", None).await?, (201, "/a".into()));
    assert_eq!(public.stop()?, Some(0));

    let private = root.start(&options, &[&golang, PRIVATE])?;
    assert_eq!(private.get("/a", None).await?.0, 404);
    assert_eq!(private.get("/a", Some(("X-Auth-Token", TOKEN))).await?, (201, "/a".into()));
    assert_eq!(private.stop()?, Some(0));
    Ok(())
}

#[tokio::test]
async fn it_runs_on_a_users_own_base_with_their_node_and_their_folders() -> anyhow::Result<()> {
    let root = Root::new();
    root.copy(Path::new("/usr/bin/busybox"), "/bin/busybox");
    let node = root.place.existing("ZIPSHIP_INTERPRETERS")?.join("node20/bin/node");
    root.copy_with_libraries(&node, "/opt/node/bin/node");
    let worker = root.place.existing("ZIPSHIP_WORKERS")?.join("node");
    for entry in fs::read_dir(worker)? {
        let path = entry?.path();
        root.copy(&path, &format!("/opt/zipship/{}", path.file_name().unwrap().display()));
    }
    let handler = "exports.run = (event) => require('child_process')
        .execFileSync('/bin/busybox', ['echo', 'on busybox', event.path]).toString();";
    fs::write(root.path("/srv/app/main.js"), handler)?;
    let environment = [
        ("ZIPSHIP_LANGUAGE", "node"),
        ("ZIPSHIP_WORKER", r#"["/opt/node/bin/node", "/opt/zipship/worker.js"]"#),
        ("SCW_HANDLER", "main.run"),
    ];
    let shim = root.start(&["--code", "/srv/app"], &[&environment, PUBLIC])?;
    assert_eq!(shim.get("/x", None).await?, (200, "on busybox /x\n".into()));
    assert_eq!(shim.stop()?, Some(0));
    Ok(())
}
