//! Python's library compiled ahead: without it every start would compile what it imports, since nothing is
//! writable in a sandbox.
//!
//! The image's own interpreter does it, started through the image's own loader, so neither root nor a Python of
//! this machine is needed. For another architecture it is that of the same recipe for this machine: compiled files
//! are the same everywhere. The files are checked by nobody at run time (`unchecked-hash`): the image is immutable.
//! Python 2.7 knows no such files: its own carry the source's time, which is 0 in an image.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::tree::{Node, Tree};
use super::{BaseError, Progress, Recipe};
use crate::Architecture;

/// Places of the loader: with the libraries, or where it has to be found.
fn loaders(architecture: Architecture) -> [&'static str; 2] {
    match architecture {
        Architecture::Amd64 => {
            ["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"]
        }
        Architecture::Arm64 => {
            ["usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", "usr/lib/ld-linux-aarch64.so.1"]
        }
    }
}

/// Compiles one file after the other in one process: marshalled code then does not depend on what ran before or beside.
const SCRIPT: &str = r"
import os, py_compile, sys
mode = {}
if sys.version_info[0] > 2:
    mode['invalidation_mode'] = py_compile.PycInvalidationMode.UNCHECKED_HASH
root = sys.argv[1]
for path in sys.stdin.read().splitlines():
    os.utime(root + '/' + path, (0, 0))
    try:
        py_compile.compile(root + '/' + path, dfile='/' + path, doraise=True, **mode)
    except py_compile.PyCompileError as error:
        sys.exit(str(error))
";

/// Adds the compiled form of every Python source below the recipe's `precompile` folders, to the tree that has it:
/// the runtime's or the program's. The interpreter is the runtime's own, unless `interpreters` has one for this machine.
pub(crate) fn run(
    trees: [&mut Tree; 2],
    interpreters: Option<&Tree>,
    recipe: &Recipe,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<(), BaseError> {
    progress(Progress::Step("precompiling"));
    let folder = || tempfile::tempdir().map_err(BaseError::io(&std::env::temp_dir()));
    let (root, other) = (folder()?, folder()?);
    let programs = match interpreters {
        Some(tree) => {
            write_out(tree, other.path())?;
            other.path()
        }
        None => root.path(),
    };
    let mut sources = Vec::new();
    for tree in &trees {
        write_out(tree, root.path())?;
        sources.push(sources_of(tree, recipe));
    }
    let interpreter = recipe.interpreter();
    compile(root.path(), programs, interpreter, &sources.concat())?;
    for (tree, sources) in trees.into_iter().zip(sources) {
        for compiled in sources.iter().map(|source| compiled_path(interpreter, source)) {
            let path = root.path().join(&compiled);
            let bytes = fs::read(&path).map_err(BaseError::io(&path))?.into();
            tree.insert(&compiled, Node::File { bytes, mode: 0o644 }).map_err(|e| failed(e.to_string()))?;
        }
    }
    Ok(())
}

fn sources_of(tree: &Tree, recipe: &Recipe) -> Vec<String> {
    let below = |path: &str| recipe.precompile.iter().any(|folder| super::pattern::covers(folder, path));
    let source =
        |path: &str, node: &Node| matches!(node, Node::File { .. }) && path.ends_with(".py") && below(path);
    tree.iter().filter(|(path, node)| source(path, node)).map(|(path, _)| path.to_owned()).collect()
}

/// `a/b.py` is compiled to `a/__pycache__/b.cpython-311.pyc`, by Python 2.7 to `a/b.pyc`.
fn compiled_path(interpreter: &str, source: &str) -> String {
    let version = interpreter.rsplit_once("python").map_or("", |(_, version)| version);
    if version.starts_with("2.") {
        return format!("{source}c");
    }
    let (folder, name) = source.rsplit_once('/').unwrap_or_default();
    format!("{folder}/__pycache__/{}.cpython-{}.pyc", name.trim_end_matches(".py"), version.replace('.', ""))
}

fn compile(root: &Path, programs: &Path, interpreter: &str, sources: &[String]) -> Result<(), BaseError> {
    let list = root.join(".sources");
    fs::write(&list, sources.join("\n")).map_err(BaseError::io(&list))?;
    let output = Command::new(loader(programs))
        .arg("--library-path")
        .arg(programs.join("usr/lib").join(Architecture::HOST.triplet()))
        .arg(programs.join(interpreter))
        .args(["-S", "-s", "-c", SCRIPT])
        .arg(root)
        .env_clear()
        .env("PYTHONHOME", programs.join("usr"))
        .env("PYTHONHASHSEED", "0")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(root)
        .stdin(fs::File::open(&list).map_err(BaseError::io(&list))?)
        .output()
        .map_err(|e| failed(format!("the interpreter of the image does not start: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn loader(root: &Path) -> std::path::PathBuf {
    let [file, link] = loaders(Architecture::HOST).map(|path| root.join(path));
    if file.exists() { file } else { link }
}

fn failed(reason: String) -> BaseError {
    BaseError::Precompile { language: "python".into(), reason }
}

/// Writes files and relative links; absolute ones would lead into this machine.
fn write_out(tree: &Tree, root: &Path) -> Result<(), BaseError> {
    for (path, node) in tree.iter() {
        let to = root.join(path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(BaseError::io(&to))?;
        }
        let written = match node {
            Node::File { bytes, mode } => fs::write(&to, bytes)
                .and_then(|()| fs::set_permissions(&to, fs::Permissions::from_mode(*mode))),
            Node::Link { target } if !target.starts_with('/') => symlink(target, &to),
            Node::Link { .. } | Node::Directory { .. } => Ok(()),
        };
        written.map_err(BaseError::io(&to))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::compiled_path;

    #[test]
    fn compiled_files_lie_where_the_interpreter_looks() {
        for (interpreter, compiled) in [
            ("usr/bin/python3.11", "usr/lib/x/__pycache__/a.b.cpython-311.pyc"),
            ("usr/bin/python3.9", "usr/lib/x/__pycache__/a.b.cpython-39.pyc"),
            ("usr/bin/python2.7", "usr/lib/x/a.b.pyc"),
        ] {
            assert_eq!(compiled_path(interpreter, "usr/lib/x/a.b.py"), compiled);
        }
    }
}
