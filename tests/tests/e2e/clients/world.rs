//! Our server with its registry, docker-registry beside it, and `zipship build` that pushes to both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use zipship_tests::{Api, DockerRegistry, Place, Server};

use super::{function::Function, output};

/// Any user will do; the key is the password.
const USER: &str = "nologin";

pub(super) struct World {
    place: Place,
    server: Server,
    docker_registry: DockerRegistry,
    /// `host:port/namespace` of our registry.
    namespace: String,
    folder: TempDir,
}

/// What was pushed where.
pub(super) struct Pushed {
    pub(super) digest: String,
    /// In our registry.
    pub(super) ours: String,
    /// In docker-registry.
    pub(super) theirs: String,
}

impl World {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let (place, server) = (Place::find()?, Server::start()?);
        let docker_registry = DockerRegistry::start()?;
        let namespace = json!({"name": "clients", "organization_id": server.api().organization()});
        let namespace = server.api().post("namespaces", &namespace).await?.expect(200);
        let namespace = namespace["registry_endpoint"].as_str().unwrap().to_owned();
        let folder = tempfile::tempdir()?;
        let host = namespace.split('/').next().unwrap();
        let auth = STANDARD.encode(format!("{USER}:{}", server.api().key()));
        let login = json!({"auths": {host: {"auth": auth}}});
        fs::write(folder.path().join("config.json"), login.to_string())?;
        Ok(Self { place, server, docker_registry, namespace, folder })
    }

    /// Ends both registries and asserts that nothing is left of the server.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.server.stop()
    }

    /// For what a test unpacks and stores.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `docker login` leaves behind: a folder's `config.json`.
    pub(super) fn login_file(&self) -> PathBuf {
        self.path("config.json")
    }

    /// `user:password` at our registry.
    pub(super) fn credentials(&self) -> String {
        format!("{USER}:{}", self.server.api().key())
    }

    /// Our server's.
    pub(super) fn api(&self) -> &Api {
        self.server.api()
    }

    /// A program that set-up unpacked.
    pub(super) fn client(&self, path: &str) -> PathBuf {
        self.tool("ZIPSHIP_CLIENTS", path)
    }

    /// A file below a folder of `scripts/env`.
    pub(super) fn tool(&self, folder: &str, path: &str) -> PathBuf {
        self.place.existing(folder).unwrap().join(path)
    }

    /// What a function is called in our registry.
    pub(super) fn reference(&self, function: &Function) -> String {
        format!("{}/{}:1", self.namespace, function.name)
    }

    /// `zipship build` of a function under `reference` in a container of the image `job`, as nobody special; `run` is
    /// the engine's command so far.
    pub(super) fn build_in(
        &self,
        mut run: Command,
        job: &str,
        function: &Function,
        reference: &str,
    ) -> Command {
        run.args(["--user", "1000:1000", "--cap-drop", "all", "--security-opt", "no-new-privileges"]);
        // Podman asks for more than some machines grant.
        run.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        let zipship = self.place.existing("ZIPSHIP_BIN").unwrap();
        let images = self.place.existing("ZIPSHIP_IMAGES").unwrap();
        let (archive, login) = (function.archive.clone(), self.login_file());
        let mounts = [
            (zipship, "/zipship"),
            (images, "/images"),
            (archive, "/function.zip"),
            (login, "/login/config.json"),
        ];
        for (from, to) in mounts {
            run.arg("--volume").arg(format!("{}:{to}:ro", from.display()));
        }
        run.args(["--env", "REGISTRY_AUTH_FILE=/login/config.json", "--entrypoint", "/zipship", job]);
        run.args(["build", "/function.zip", "--runtime", function.runtime, "--handler", function.handler]);
        run.args(["--images-dir", "/images", "--insecure", "--json", "-t", reference]);
        run
    }

    /// `zipship build`, pushed to both.
    pub(super) fn push(&self, function: &Function, options: &[&str]) -> Pushed {
        let ours = self.reference(function);
        let theirs = format!("{}/clients/{}:1", self.docker_registry.address, function.name);
        let built = self.build(function, &[&["-t", &ours, "-t", &theirs], options].concat());
        let digest = built["digest"].as_str().unwrap().to_owned();
        Pushed { digest, ours, theirs }
    }

    /// `zipship push` of an image of ours to our registry: its reference there.
    pub(super) fn push_image(&self, name: &str) -> String {
        let images = self.place.existing("ZIPSHIP_IMAGES").unwrap().join(name);
        let current = fs::read_to_string(images.join("current")).unwrap();
        let reference = format!("{}/{name}:1", self.namespace);
        let mut push = Command::new(self.place.existing("ZIPSHIP_BIN").unwrap());
        push.arg("push").arg(images.join(current)).args([&reference, "--insecure"]);
        output(push.env("REGISTRY_AUTH_FILE", self.login_file()));
        reference
    }

    /// `zipship build`, and what it says.
    pub(super) fn build(&self, function: &Function, options: &[&str]) -> Value {
        let mut build = Command::new(self.place.existing("ZIPSHIP_BIN").unwrap());
        build.arg("build").arg(&function.archive).args(["--runtime", function.runtime]);
        build.args(["--handler", function.handler, "--insecure", "--json"]).args(options);
        build.arg("--images-dir").arg(self.place.existing("ZIPSHIP_IMAGES").unwrap());
        build.env("REGISTRY_AUTH_FILE", self.login_file()).env("XDG_CACHE_HOME", self.path("cache"));
        if function.runtime == "golang" {
            build.arg("--go-root").arg(self.place.existing("ZIPSHIP_GO_ROOT").unwrap());
            build.arg("--go-cache").arg(self.go_cache());
        }
        serde_json::from_slice(&output(&mut build)).unwrap()
    }

    /// A copy of the warm one, which others read.
    fn go_cache(&self) -> PathBuf {
        let copy = self.path("go-cache");
        if !Path::exists(&copy) {
            let warm = self.place.existing("ZIPSHIP_GO_CACHE").unwrap();
            output(Command::new("cp").arg("-a").arg(warm).arg(&copy));
        }
        copy
    }
}
