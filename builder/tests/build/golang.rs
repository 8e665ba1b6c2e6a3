//! Plans carried out by the real Go toolchain of this machine.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use builder::golang::{Compile, CompileError, LocalCompile, plan};
use builder::tree::Tree;
use builder::zip::{Data, Kind};

pub(crate) fn compiler() -> LocalCompile {
    let root = Command::new("go").args(["env", "GOROOT"]).output().expect("these tests need go");
    assert!(root.status.success());
    LocalCompile {
        toolchain: String::from_utf8(root.stdout).unwrap().trim().into(),
        cache: cache(),
        timeout: Duration::from_secs(240),
        proxy: None,
        modules: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("go-modules"),
    }
}

/// `1.26.6`, as the toolchain itself says it.
pub(crate) fn toolchain_version() -> String {
    let said = Command::new("go").args(["env", "GOVERSION"]).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.trim().strip_prefix("go").expect("a version").to_owned()
}

/// A copy of the standard library as set-up compiled it, where there is one.
fn cache() -> PathBuf {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    let copied = || {
        let own = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("go-cache");
        if let Some(warm) = std::env::var_os("ZIPSHIP_GO_CACHE").filter(|_| !own.exists()) {
            let unfinished = own.with_extension("new");
            let copy = Command::new("cp").arg("-r").arg(warm).arg(&unfinished).status().unwrap();
            assert!(copy.success());
            std::fs::rename(unfinished, &own).unwrap();
        }
        own
    };
    CACHE.get_or_init(copied).clone()
}

pub(crate) fn compile(
    compiler: &LocalCompile,
    package: &str,
    files: &[(&str, &str)],
) -> Result<Vec<u8>, CompileError> {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.insert(path, Kind::File { executable: false, data: Data::plain(text.as_bytes()) });
    }
    compiler.compile(&plan(&tree, package).unwrap())
}

pub(crate) fn output(program: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    std::fs::write(&path, program).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    String::from_utf8(Command::new(path).output().unwrap().stdout).unwrap()
}

const HELLO: &str = "package main\nfunc main() { print(\"\"); println2() }\n";
const PRINT: &str = "package main\nimport \"os\"\nfunc println2() { os.Stdout.WriteString(\"hello\") }\n";

#[test]
fn the_real_compiler_follows_the_plans() {
    let compiler = compiler();
    let module =
        [("go.mod", "module example.com/x\n\ngo 1.21\n"), ("cmd/main.go", HELLO), ("cmd/print.go", PRINT)];
    let program = compile(&compiler, "cmd", &module).unwrap();
    assert_eq!(output(&program), "hello");
    assert_eq!(
        compile(&compiler, "cmd", &module).unwrap(),
        program,
        "the directory must not be in the program"
    );
    let gopath = [
        ("main.go", "package main\nimport \"example.com/lib\"\nfunc main() { lib.Hello() }\n"),
        (
            "vendor/example.com/lib/lib.go",
            "package lib\nimport \"os\"\nfunc Hello() { os.Stdout.WriteString(\"vendored\") }\n",
        ),
    ];
    assert_eq!(output(&compile(&compiler, ".", &gopath).unwrap()), "vendored");
    let vendored = [
        ("go.mod", "module x\n\ngo 1.21\n\nrequire example.com/lib v1.0.0\n"),
        ("vendor/modules.txt", "# example.com/lib v1.0.0\n## explicit\nexample.com/lib\n"),
        gopath[0],
        gopath[1],
    ];
    assert_eq!(output(&compile(&compiler, ".", &vendored).unwrap()), "vendored");
    let Err(CompileError::Rejected(lines)) =
        compile(&compiler, ".", &[("main.go", "package main\nfunc main() { nope() }\n")])
    else {
        panic!("it compiled");
    };
    assert!(lines.contains("./main.go:2:15: undefined: nope"), "{lines}");
    assert!(!lines.contains("zipship-go-"), "{lines}");
}

#[test]
fn a_compiler_that_is_slow_or_missing_is_told_apart() {
    let hello = [("main.go", "package main\nfunc main() {}\n")];
    let slow = LocalCompile { timeout: Duration::ZERO, ..compiler() };
    assert_eq!(compile(&slow, ".", &hello), Err(CompileError::TimedOut));
    let missing = LocalCompile { toolchain: "/nowhere".into(), ..compiler() };
    assert!(matches!(compile(&missing, ".", &hello), Err(CompileError::Unavailable(_))));
}

/// Whatever of the archive could change what is run, or read, on the machine that compiles.
#[test]
fn an_archive_runs_nothing_and_reads_nothing_of_the_machine_that_compiles_it() {
    let compiler = compiler();
    let gomod = ("go.mod", "module example.com/x\n\ngo 1.21\n");
    let rejected = |files: &[(&str, &str)], words: &str| {
        let mut all = vec![gomod];
        all.extend(files);
        let Err(CompileError::Rejected(said)) = compile(&compiler, ".", &all) else {
            panic!("{words:?}: it compiled");
        };
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    };
    let main = "package main\nfunc main() {}\n";
    let embed = |pattern: &str| {
        format!(
            "package main\nimport _ \"embed\"\n//go:embed {pattern}\nvar s string\nfunc main() {{ print(s) }}\n"
        )
    };
    rejected(&[("main.go", &embed("/etc/passwd"))], "pattern /etc/passwd: invalid pattern syntax");
    rejected(&[("main.go", &embed("../../etc/passwd"))], "invalid pattern syntax");
    rejected(&[("main.go", &embed("link"))], "pattern link: no matching files found");
    let cgo = "package main\n// #cgo LDFLAGS: -fplugin=/tmp/x.so\nimport \"C\"\nfunc main() {}\n";
    rejected(&[("main.go", cgo)], "build constraints exclude all Go files");
    let directive = "package main\n//go:cgo_ldflag \"-fplugin=x\"\nfunc main() {}\n";
    rejected(&[("main.go", directive)], "//go:cgo_ldflag");
    // An object for a C linker: Go's own reads it, and nothing runs.
    rejected(&[("main.go", main), ("x.syso", "!<arch>\nno object")], "external linking required");
    let generate = "package main\n//go:generate /bin/sh -c \"exit 1\"\nfunc main() {}\n";
    let quiet = [
        gomod,
        ("main.go", generate),
        ("main_test.go", "package main\nfunc init() { panic(1) }\n"),
        ("go.env", "GOFLAGS=-toolexec=/bin/false\n"),
        (".config/go/env", "GOFLAGS=-toolexec=/bin/false\n"),
        ("go.work", "go 1.99\n"),
    ];
    compile(&compiler, ".", &quiet).unwrap();
}

#[test]
fn a_go_that_is_too_old_says_so_and_fetches_no_other() {
    let main = ("main.go", "package main\nfunc main() {}\n");
    let compiler = compiler();
    let built = compile(&compiler, ".", &[("go.mod", "module example.com/x\n\ngo 1.99\n"), main]);
    let said = built.unwrap_err().to_string();
    assert!(said.contains("requires go >= 1.99 (running go 1."), "{said}");
    let named = compile(
        &compiler,
        ".",
        &[("go.mod", "module example.com/x\n\ngo 1.21\n\ntoolchain go1.99.0\n"), main],
    );
    let program = named.unwrap();
    assert_eq!(builder::golang::version(&program), Some(&*toolchain_version()));
}

/// Without the cache of the standard library too: the program depends on the sources and the toolchain only.
#[test]
fn a_cold_cache_gives_the_same_program() {
    let cold = tempfile::tempdir().unwrap();
    // Nothing but the runtime is compiled: seconds.
    let files = [
        ("go.mod", "module example.com/x\n\ngo 1.21\n"),
        ("main.go", "package main\nfunc main() { print(1) }\n"),
    ];
    let warm = compile(&compiler(), ".", &files).unwrap();
    let compiler = LocalCompile { cache: cold.path().join("made"), ..compiler() };
    assert!(compile(&compiler, ".", &files).unwrap() == warm, "the cache changes the program");
}
