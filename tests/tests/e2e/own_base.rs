//! Functions on a user's own base: `zipship build --base` puts the shim on it, and it serves; with `--precompile` the
//! interpreter takes what was compiled at build time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zipship_tests::{LoneShim, Place, in_root};

use crate::lone::PUBLIC;

/// Where python's worker lies in an image.
const WORKERS: &str = "/usr/local/lib/zipship/python";

/// A user's base and function, and what was built of them.
struct Bench {
    place: Place,
    folder: TempDir,
}

impl Bench {
    /// The base is that of a runtime without anything of zipship's in it: its first layer, and where its programs are.
    fn new(runtime: &str, function: &[(&str, &str)]) -> Self {
        let place = Place::find().unwrap();
        let bench = Self { place, folder: tempfile::tempdir().unwrap() };
        for (name, text) in function {
            let path = bench.path("function").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        bench.make_base(runtime);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make_base(&self, runtime: &str) {
        let images = self.place.existing("ZIPSHIP_IMAGES").unwrap().join(runtime);
        let ours = images.join(fs::read_to_string(images.join("current")).unwrap());
        let (mut manifest, mut config) = documents(&ours);
        let (layers, diff_ids) = (manifest["layers"].take(), config["rootfs"]["diff_ids"].take());
        manifest["layers"] = json!([layers[0]]);
        config["rootfs"]["diff_ids"] = json!([diff_ids[0]]);
        config["history"] = json!([]);
        config["config"] = json!({"Env": ["PATH=/usr/local/bin:/usr/bin"], "Labels": {"team": "a"}});
        let base = self.path("base");
        fs::create_dir_all(base.join("blobs/sha256")).unwrap();
        let layer = blob(&ours, &layers[0]);
        fs::copy(&layer, base.join("blobs/sha256").join(layer.file_name().unwrap())).unwrap();
        manifest["config"]["digest"] = add(&base, &config).0.into();
        manifest["config"]["size"] = config.to_string().len().into();
        let (digest, size) = add(&base, &manifest);
        let one = json!({"mediaType": manifest["mediaType"], "digest": digest, "size": size});
        let index = json!({"schemaVersion": 2, "manifests": [one]});
        fs::write(base.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        fs::write(base.join("index.json"), index.to_string()).unwrap();
    }

    /// `zipship build` into an image layout.
    fn build(&self, runtime: &str, arguments: &[&str], out: &str) -> Value {
        let output = Command::new(self.place.existing("ZIPSHIP_BIN").unwrap())
            .args(["build", "function", "--runtime", runtime, "--base", "oci-layout:base", "--json"])
            .arg("--shim")
            .arg(self.place.existing("ZIPSHIP_SHIM").unwrap())
            .arg("--workers")
            .arg(self.place.existing("ZIPSHIP_WORKERS").unwrap())
            .args(["-o", &format!("oci-layout:{out}")])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What was built, as a root directory, with the one device that every container runtime makes.
    fn unpack(&self, out: &str) -> Root {
        let layout = self.path(out);
        let (manifest, config) = documents(&layout);
        let root = self.path("root");
        fs::create_dir_all(root.join("dev")).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let done =
                Command::new("tar").arg("-xzf").arg(blob(&layout, layer)).arg("-C").arg(&root).status();
            assert!(done.unwrap().success(), "{layer}");
        }
        let null = root.join("dev/null");
        let made = Command::new("mknod").args(["-m", "666"]).arg(&null).args(["c", "1", "3"]).status();
        assert!(made.unwrap().success());
        let entries = config["config"]["Env"].as_array().unwrap().iter();
        let environment = entries.map(|entry| entry.as_str().unwrap().split_once('=').unwrap());
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Root { path: root, environment, entrypoint: config["config"]["Entrypoint"].clone() }
    }
}

/// A container of it, but for its sandbox.
struct Root {
    path: PathBuf,
    environment: Vec<(String, String)>,
    entrypoint: Value,
}

impl Root {
    fn start(&self) -> anyhow::Result<LoneShim> {
        let mut command = in_root(&self.path, self.entrypoint[0].as_str().unwrap());
        let environment = self.environment.iter().map(|(name, value)| (&**name, &**value));
        LoneShim::start(&mut command, environment.chain(PUBLIC.iter().copied()))
    }

    /// Runs a program of it.
    fn run(&self, program: &str, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        let mut command = in_root(&self.path, program);
        command.args(arguments).env_clear().envs(self.environment.iter().cloned());
        command.env_remove("PYTHONDONTWRITEBYTECODE").envs(more.iter().copied()).output().unwrap()
    }

    /// Everything in the function's directory.
    fn files(&self) -> Vec<String> {
        let listed = Command::new("find").arg("home/app/function").current_dir(&self.path).output().unwrap();
        let mut files: Vec<String> =
            String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
        files.sort();
        files
    }
}

/// Manifest and configuration of a layout's image.
fn documents(layout: &Path) -> (Value, Value) {
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = read(&layout.join("index.json"));
    let manifest = read(&blob(layout, &index["manifests"][0]));
    let config = read(&blob(layout, &manifest["config"]));
    (manifest, config)
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    layout.join("blobs/sha256").join(descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:"))
}

/// Adds a document to a layout: its digest and size.
fn add(layout: &Path, document: &Value) -> (String, usize) {
    let text = document.to_string();
    let hex: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(layout.join("blobs/sha256").join(&hex), &text).unwrap();
    (format!("sha256:{hex}"), text.len())
}

#[tokio::test]
async fn a_python_function_serves_on_a_users_base_and_is_compiled_only_once() -> anyhow::Result<()> {
    let handler =
        "import dep\n\n\ndef handle(event, context):\n    return {'statusCode': 200, 'body': dep.TEXT}\n";
    let broken = "print 'of another Python'\n";
    let bench = Bench::new(
        "python311",
        &[("handler.py", handler), ("package/dep.py", "TEXT = 'from dep'\n"), ("package/old.py", broken)],
    );
    let plain = bench.build("python311", &[], "plain");
    let first = bench.build("python311", &["--precompile"], "compiled");
    assert_eq!(bench.build("python311", &["--precompile"], "again")["digest"], first["digest"]);
    assert_ne!(plain["digest"], first["digest"]);
    let parts: Vec<&Value> = first["layers"].as_array().unwrap().iter().map(|one| &one["part"]).collect();
    // Of the workers, and of the function.
    assert_eq!(parts, ["dependencies", "code", "compiled caches", "compiled caches"]);
    assert_eq!(first["warnings"], json!([]), "what packages bring for others is no news");

    let root = bench.unpack("compiled");
    let before = root.files();
    let shim = root.start()?;
    assert_eq!(shim.get("/x", None).await?, (200, "from dep".into()));
    assert_eq!(shim.stop()?, Some(0));
    let search = [("PYTHONPATH", "/home/app/function:/home/app/function/package")];
    let output = root.run("/usr/bin/python3.11", &["-v", "-c", "import handler"], &search);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for compiled in ["__pycache__/handler", "package/__pycache__/dep"] {
        let line = format!("# code object from '/home/app/function/{compiled}.cpython-311.pyc'");
        assert!(said.contains(&line), "{said}");
    }
    assert!(!said.contains("# wrote"), "{said}");
    let output =
        root.run("/usr/bin/python3.11", &["-v", "-c", "import _zipship"], &[("PYTHONPATH", WORKERS)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("python/_zipship/__pycache__/__init__.cpython-311.pyc'"), "{said}");
    assert_eq!(root.files(), before, "nothing is written although it could be");
    Ok(())
}

#[tokio::test]
async fn a_node_function_serves_on_a_users_base_and_finds_its_compile_cache() -> anyhow::Result<()> {
    let handler = "const dep = require('dep');\n\
         if (process.env.HOME !== '/home/app') throw new Error('it is run while it is built');\n\
         exports.handle = async () => dep.text + (await import('./more.mjs')).text;\n";
    let bench = Bench::new(
        "node24",
        &[
            ("handler.js", handler),
            ("more.mjs", "export const text = ' and more';\n"),
            ("node_modules/dep/index.js", "exports.text = 'from dep';\n"),
            ("wrong.js", "const = 1;\n"),
        ],
    );
    let first = bench.build("node24", &["--precompile"], "compiled");
    assert_eq!(bench.build("node24", &["--precompile"], "again")["digest"], first["digest"]);
    let warnings = first["warnings"].to_string();
    assert!(warnings.contains("wrong.js does not compile"), "{warnings}");

    let root = bench.unpack("compiled");
    let shim = root.start()?;
    assert_eq!(shim.get("/x", None).await?, (200, "from dep and more".into()));
    assert_eq!(shim.stop()?, Some(0));
    let script = "require('/home/app/function/handler.js').handle()";
    let output = root.run("/usr/local/bin/node", &["-e", script], &[("NODE_DEBUG_NATIVE", "COMPILE_CACHE")]);
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    for source in ["/home/app/function/handler.js", "/node_modules/dep/index.js", "function/more.mjs"] {
        let accepted = said.lines().any(|line| line.contains(source) && line.contains("was accepted"));
        assert!(accepted, "{source}: {said}");
    }
    Ok(())
}

#[test]
fn an_interpreter_without_a_compile_cache_says_so() {
    let bench = Bench::new("node10", &[("handler.js", "exports.handle = () => 1;\n")]);
    let output = Command::new(bench.place.existing("ZIPSHIP_BIN").unwrap())
        .args(["build", "function", "--runtime", "node10", "--base", "oci-layout:base", "--precompile"])
        .arg("--shim")
        .arg(bench.place.existing("ZIPSHIP_SHIM").unwrap())
        .arg("--workers")
        .arg(bench.place.existing("ZIPSHIP_WORKERS").unwrap())
        .current_dir(bench.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("has no compile cache; it has from version 22 on"), "{said}");
}
