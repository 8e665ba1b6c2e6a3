//! The python worker, compiled as a base image has it: each start would compile it anew otherwise, since nothing
//! is written beside sources here.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::interpreter::Interpreter;

/// A folder with the worker's sources and their bytecode, in the cache; the sources' own folder where that can't be
/// had, which is slower and nothing else.
pub(super) fn compiled(sources: &Path, interpreter: &Interpreter) -> PathBuf {
    let cache = crate::programs::cache().join("workers");
    compiled_below(&cache, sources, interpreter).unwrap_or_else(|_| sources.to_owned())
}

fn compiled_below(cache: &Path, sources: &Path, interpreter: &Interpreter) -> io::Result<PathBuf> {
    let mut files = Vec::new();
    read(sources, Path::new(""), &mut files)?;
    let mut hasher = DefaultHasher::new();
    (&files, interpreter).hash(&mut hasher);
    let target = cache.join(format!("python-{:016x}", hasher.finish()));
    if target.is_dir() {
        return Ok(target);
    }
    fs::create_dir_all(cache)?;
    let fresh = tempfile::Builder::new().prefix(".new-").tempdir_in(cache)?;
    for (path, bytes) in &files {
        let path = fresh.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(fresh.path()))?;
        fs::write(path, bytes)?;
    }
    let mut compile = Command::new(&interpreter.path);
    compile.args(["-m", "compileall", "-q"]).arg(fresh.path()).stdin(Stdio::null());
    compile.env_remove("PYTHONPYCACHEPREFIX");
    let status = compile.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        return Err(io::Error::other("compileall failed"));
    }
    match fs::rename(fresh.path(), &target) {
        // Another one may have been quicker.
        Err(error) if !target.is_dir() => Err(error),
        _ => Ok(target),
    }
}

/// The Python files below a folder, in order.
fn read(root: &Path, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(root.join(below))?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            read(root, &path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "py") {
            files.push((path.clone(), fs::read(root.join(path))?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::interpreter::find;
    use crate::local::runtime::Runtime;

    #[test]
    fn the_bytecode_is_there_once_and_new_for_new_sources() {
        let (sources, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(sources.path().join("inner")).unwrap();
        fs::write(sources.path().join("inner/a.py"), "A = 1\n").unwrap();
        let (python, _) = find(&Runtime::parse("python3").unwrap(), None).unwrap();
        let first = compiled_below(cache.path(), sources.path(), &python).unwrap();
        assert_eq!(fs::read_dir(first.join("inner/__pycache__")).unwrap().count(), 1);
        assert_eq!(compiled_below(cache.path(), sources.path(), &python).unwrap(), first);
        fs::write(sources.path().join("inner/a.py"), "A = 2\n").unwrap();
        assert_ne!(compiled_below(cache.path(), sources.path(), &python).unwrap(), first);
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 2);
        assert!(!sources.path().join("inner/__pycache__").exists());
    }
}
