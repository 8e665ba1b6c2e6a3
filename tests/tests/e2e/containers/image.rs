//! Images as users make them, with tools that are not ours: a Go program in a layout, pushed by skopeo and podman.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;
use zipship_tests::{Place, Server};

/// Where images are made and clients have their files.
pub(crate) struct Workshop {
    folder: TempDir,
    key: String,
    host: String,
}

impl Workshop {
    pub(crate) fn new(server: &Server) -> Self {
        let host = server.api().url().trim_start_matches("http://").to_owned();
        // In small letters: podman makes a name of the path to a layout.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("zipship-workshop-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir().unwrap();
        Self { folder, key: server.api().key().to_owned(), host }
    }

    /// `host:port` of the registry.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// `docker login`, by the same words.
    pub(crate) fn login(&self, program: &str) {
        let key = &self.key;
        self.run(program, &["login", "--tls-verify=false", "-u", "userdoesnotmatter", "-p", key, &self.host]);
    }

    /// An image in a layout with the program and these settings of `umoci config`; its `layout:tag`.
    pub(crate) fn image(&self, tag: &str, settings: &[&str]) -> String {
        let layout = self.folder.path().join("layout");
        if !layout.exists() {
            self.run("umoci", &["init", "--layout", layout.to_str().unwrap()]);
        }
        let image = format!("{}:{tag}", layout.display());
        self.run("umoci", &["new", "--image", &image]);
        let program = program().to_str().unwrap();
        self.run("umoci", &["insert", "--image", &image, program, "/usr/bin/program"]);
        self.run("umoci", &[&["config", "--image", &image], settings].concat());
        image
    }

    /// `skopeo copy` of a layout's image to a repository of the registry.
    pub(crate) fn push(&self, image: &str, to: &str) {
        let (from, to) = (format!("oci:{image}"), format!("docker://{to}"));
        let copy = ["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"];
        self.run("skopeo", &[&copy[..], &[&from, &to]].concat());
    }

    /// podman takes an image of the registry under another name and pushes it, as Docker's format has it.
    pub(crate) fn push_with_podman(&self, from: &str, to: &str) {
        self.podman(&["pull", "--quiet", "--tls-verify=false", from]);
        self.podman(&["tag", from, to]);
        self.podman(&["push", "--quiet", "--tls-verify=false", "--format", "v2s2", to]);
        self.podman(&["rmi", "--all", "--force"]);
    }

    /// podman pushes a layout's image, its layers packed anew.
    pub(crate) fn push_packed(&self, image: &str, to: &str, compression: &str) {
        let pulled = self.podman(&["pull", "--quiet", &format!("oci:{image}")]);
        let pulled = String::from_utf8(pulled.stdout).unwrap();
        let how = ["push", "--quiet", "--tls-verify=false", "--format", "oci", "--compression-format"];
        self.podman(&[&how[..], &[compression, pulled.trim(), to]].concat());
        self.podman(&["rmi", "--all", "--force"]);
    }

    fn podman(&self, arguments: &[&str]) -> Output {
        let root = self.folder.path().join("podman");
        let storage = ["--root", root.to_str().unwrap(), "--storage-driver", "vfs"];
        self.run("podman", &[&storage[..], arguments].concat())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = Command::new(program)
            .args(arguments)
            .env("REGISTRY_AUTH_FILE", self.folder.path().join("auth.json"))
            .env("HOME", self.folder.path())
            .output()
            .unwrap_or_else(|error| {
                panic!("{program} cannot be run (scripts/setup test installs it): {error}")
            });
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        output
    }
}

/// The program, compiled once for all tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let place = Place::find().unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("container-program");
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        let built = Command::new(place.existing("ZIPSHIP_GO_ROOT").unwrap().join("bin/go"))
            .args(["build", "-trimpath", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/containers/program"))
            .env("GOCACHE", folder.join("cache"))
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        program
    })
}
