//! Plans carried out by the real Go toolchain of this machine.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use builder::golang::{Compile, CompileError, LocalCompile, plan};
use builder::tree::Tree;
use builder::zip::{Data, Kind};

fn compiler() -> LocalCompile {
    let root = Command::new("go").args(["env", "GOROOT"]).output().expect("these tests need go");
    assert!(root.status.success());
    LocalCompile {
        toolchain: String::from_utf8(root.stdout).unwrap().trim().into(),
        cache: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("go-cache"),
        timeout: Duration::from_secs(240),
    }
}

fn compile(compiler: &LocalCompile, package: &str, files: &[(&str, &str)]) -> Result<Vec<u8>, CompileError> {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.insert(path, Kind::File { executable: false, data: Data::plain(text.as_bytes()) });
    }
    compiler.compile(&plan(&tree, package).unwrap())
}

fn output(program: &[u8]) -> String {
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
