//! The base images from their real recipes and locks: the same bytes wherever they are built, and what is in
//! them runs. Needs a mirror unless the downloads are there already (`ZIPSHIP_DOWNLOADS`, or the user's cache).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers as well")]

mod arm64;
mod contents;
mod root;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::Architecture;
use builder::base::{self, Base, BaseRequest, Mirrors};
use root::Root;

/// A complete static executable: `exit(0)`. Stands for the shim, whose content does not matter here.
fn write_static_executable(path: &Path, architecture: Architecture) {
    let (machine, code): (u16, &[u8]) = match architecture {
        Architecture::Amd64 => (62, &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]),
        // mov x8, #93; mov x0, #0; svc #0
        Architecture::Arm64 => (183, &[0xa8, 0x0b, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 1, 0, 0, 0xd4]),
    };
    let size = 120 + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    for part in [2_u16, machine] {
        elf.extend(part.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    for part in [0x40_0078_u64, 64, 0] {
        elf.extend(part.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for part in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(part.to_le_bytes());
    }
    for part in [1_u32, 5] {
        elf.extend(part.to_le_bytes());
    }
    for part in [0, 0x40_0000, 0x40_0000, size, size, 4096] {
        elf.extend(part.to_le_bytes());
    }
    elf.extend(code);
    fs::write(path, elf).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Shim, workers and an images folder of one test.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for architecture in Architecture::ALL {
            write_static_executable(&folder.path().join(architecture.name()), architecture);
        }
        for worker in ["node/worker.js", "python/worker.py"] {
            let path = folder.path().join("workers").join(worker);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "1\n").unwrap();
        }
        Self { folder }
    }

    fn build(&self, runtime: &str) -> Base {
        self.build_for(runtime, Architecture::Amd64)
    }

    fn build_for(&self, runtime: &str, architecture: Architecture) -> Base {
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
        base::build(&BaseRequest {
            recipe_dir: &recipes.join(runtime),
            architecture,
            shim: &self.folder.path().join(architecture.name()),
            workers: &self.folder.path().join("workers"),
            downloads: &downloads(),
            mirrors: &Mirrors::of_this_machine(),
            images_dir: &self.images(),
            progress: &|_| {},
        })
        .unwrap()
    }

    fn images(&self) -> PathBuf {
        self.folder.path().join("images")
    }
}

fn downloads() -> PathBuf {
    let cache = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/zipship/downloads");
    std::env::var_os("ZIPSHIP_DOWNLOADS").map_or_else(cache, PathBuf::from)
}

/// Builds, finds it again, and unpacks it.
fn built(runtime: &str, most_megabytes: u64) -> Root {
    built_for(runtime, Architecture::Amd64, most_megabytes)
}

fn built_for(runtime: &str, architecture: Architecture, most_megabytes: u64) -> Root {
    let world = World::new();
    let first = world.build_for(runtime, architecture);
    assert_eq!(world.build_for(runtime, architecture).digest, first.digest);
    assert_eq!(base::locate(&world.images(), runtime, architecture).unwrap().digest, first.digest);
    oci::layout::verify(&first.image).unwrap();
    let size: u64 = first.image.layers.iter().map(|l| l.layer.size()).sum();
    assert!(size < most_megabytes * 1_000_000, "{runtime} has {size} bytes");
    Root::of(&first)
}

/// A function with the real worker, in the base of this runtime.
fn node_runs_a_function(runtime: &str, version: &str, most_megabytes: u64) {
    let world = World::new();
    let workers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-shim/workers/node");
    for entry in fs::read_dir(workers).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), world.folder.path().join("workers/node").join(entry.file_name())).unwrap();
    }
    let base = world.build(runtime);
    let size: u64 = base.image.layers.iter().map(|l| l.layer.size()).sum();
    assert!(size < most_megabytes * 1_000_000, "{runtime} has {size} bytes");
    let root = Root::of(&base);
    // What an instance has of its kernel, as plain files: node 8 does not start without chance.
    fs::create_dir_all(root.path().join("dev")).unwrap();
    let mut chance = [0; 4096];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut chance).unwrap();
    fs::write(root.path().join("dev/urandom"), chance).unwrap();
    fs::write(root.path().join("dev/null"), "").unwrap();
    fs::set_permissions(root.path().join("dev/null"), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(root.run(&["/usr/local/bin/node", "--version"]), format!("{version}\n"));
    let place = root.path().join("home/app/function");
    fs::write(place.join("invoke.js"), include_str!("invoke.js")).unwrap();
    let handler = "require('tls').createSecureContext();\n\
                   exports.handle = async (event) => process.version + ' as ' + process.getuid() + ' in ' + process.cwd();";
    fs::write(place.join("handler.js"), handler).unwrap();
    let code = "/home/app/function";
    let worker = "/usr/local/lib/zipship/node/worker.js";
    let said =
        root.run(&["/usr/local/bin/node", "/home/app/function/invoke.js", worker, code, "handler.handle"]);
    assert_eq!(said, format!("{version} as 1000 in {code}\n"));
}

#[test]
fn the_oldest_node_runs_a_function() {
    node_runs_a_function("node8", "v8.17.0", 16);
}

#[test]
fn the_newest_node_runs_a_function() {
    node_runs_a_function("node24", "v24.21.0", 56);
}

#[test]
fn node_10_runs_and_trusts_the_bundle() {
    let root = built("node10", 18);
    assert_eq!(root.run(&["/usr/local/bin/node", "--version"]), "v10.24.1\n");
    let script = "const c = require('fs').readFileSync(process.env.SSL_CERT_FILE, 'utf8').split('BEGIN CERT').length - 1;\
                  require('https'); require('dns');\
                  require('tls').createSecureContext();\
                  console.log(process.getuid(), c > 100, new Intl.DateTimeFormat('en').format(0), require('os').userInfo().username)";
    assert_eq!(root.run(&["/usr/local/bin/node", "-e", script]), "1000 true '1/1/1970' 'app'\n");
}

/// What every Python 3 has. Its modules are all there, and compiled ahead.
const PYTHON_3: &str = r"
import ssl, json, sqlite3, asyncio, zoneinfo, lzma, bz2, ctypes, hashlib, os, pwd, locale, pathlib, importlib, uuid
import curses, readline, decimal, socket, mimetypes, sys
context = ssl.create_default_context()
assert len(context.get_ca_certs()) > 100, len(context.get_ca_certs())
assert zoneinfo.ZoneInfo('Europe/Paris').key == 'Europe/Paris'
assert locale.setlocale(locale.LC_ALL, '') == 'C.UTF-8'
assert ctypes.CDLL('libstdc++.so.6')
assert socket.getservbyname('https') == 443
assert sqlite3.connect(':memory:').execute('select 1').fetchone() == (1,)
assert bz2.decompress(bz2.compress(b'x')) == lzma.decompress(lzma.compress(b'x')) == b'x'
for module in pathlib.Path('/usr/lib/python%d.%d/lib-dynload' % sys.version_info[:2]).glob('*.so'):
    importlib.import_module(module.name.split('.')[0])
for module in (json, asyncio, zoneinfo, ssl):
    assert pathlib.Path(module.__cached__).exists(), module.__cached__
print(os.getuid(), pwd.getpwuid(1000).pw_name, os.access('/home/app/function', os.W_OK))
";

fn python_3_runs_with_all_its_modules(version: &str, most_megabytes: u64) {
    let tag = version.replace('.', "");
    let root = built(&format!("python{tag}"), most_megabytes);
    assert_eq!(root.run(&[&format!("/usr/bin/python{version}"), "-c", PYTHON_3]), "1000 app True\n");
    let worker = format!("usr/local/lib/zipship/python/__pycache__/worker.cpython-{tag}.pyc");
    assert!(root.path().join(&worker).exists(), "{worker}");
    assert_eq!(root.run(&["/usr/bin/python3", "-c", "print(1)"]), "1\n");
}

#[test]
fn python_39_runs_with_all_its_modules() {
    python_3_runs_with_all_its_modules("3.9", 20);
}

#[test]
fn python_311_runs_with_all_its_modules() {
    python_3_runs_with_all_its_modules("3.11", 20);
}

#[test]
fn python_313_runs_with_all_its_modules() {
    python_3_runs_with_all_its_modules("3.13", 22);
}

#[test]
fn python_27_runs_with_all_its_modules() {
    let root = built("python", 18);
    // The crate that unpacks here turns the time 0 into 1; what unpacks images keeps it.
    let touch = ["-type", "f", "-name", "*.py", "-exec", "touch", "-d", "@0", "{}", "+"];
    assert!(Command::new("find").arg(root.path()).args(touch).status().unwrap().success());
    let script = r"
import ssl, json, sqlite3, bz2, ctypes, hashlib, os, pwd, locale, importlib, uuid, curses, readline, decimal, socket
context = ssl.create_default_context()
assert len(context.get_ca_certs()) > 100, len(context.get_ca_certs())
assert locale.setlocale(locale.LC_ALL, '') == 'C.UTF-8'
assert ctypes.CDLL('libstdc++.so.6')
assert socket.getservbyname('https') == 443
assert sqlite3.connect(':memory:').execute('select 1').fetchone() == (1,)
os.urandom = lambda length: b'0' * length  # there is no /dev here
for name in os.listdir('/usr/lib/python2.7/lib-dynload'):
    if name.endswith('.so'):
        importlib.import_module(name.split('.')[0])
for module in (json, ssl, uuid):
    assert module.__file__.endswith('.pyc'), module.__file__
print('%d %s %s' % (os.getuid(), pwd.getpwuid(1000).pw_name, os.access('/home/app/function', os.W_OK)))
";
    assert_eq!(root.run(&["/usr/bin/python2.7", "-c", script]), "1000 app True\n");
    assert!(root.path().join("usr/local/lib/zipship/python/worker.pyc").exists());
    // The compiled file is taken, not the source: it carries the source's time.
    let said = root.run(&["/usr/bin/python2.7", "-c", "import sys; sys.path.insert(0, '/usr/local/lib/zipship/python'); import worker; print(worker.__file__)"]);
    assert_eq!(said, "/usr/local/lib/zipship/python/worker.pyc\n");
    assert_eq!(root.run(&["/usr/bin/python", "-c", "print(1)"]), "1\n");
}

/// Of the smallest; the end-to-end tests do it with all.
#[test]
fn another_place_gives_the_same_bytes() {
    for architecture in Architecture::ALL {
        let [one, two] = [World::new(), World::new()].map(|world| world.build_for("golang", architecture));
        assert_eq!(one.digest, two.digest);
        assert_ne!(one.layout, two.layout);
    }
}

#[test]
fn golang_carries_certificates_zones_and_no_program_but_the_shim() {
    let root = built("golang", 2);
    assert_eq!(root.run(&["/usr/local/bin/zipship-shim"]), "");
    for path in ["etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Paris", "etc/os-release"] {
        assert!(root.path().join(path).exists(), "{path}");
    }
    let executable = |path: &PathBuf| {
        let data = fs::symlink_metadata(path).unwrap();
        data.is_file() && data.permissions().mode() & 0o111 != 0
    };
    let found: Vec<_> = root.files().into_iter().filter(executable).collect();
    assert_eq!(found, [root.path().join("usr/local/bin/zipship-shim")]);
}
