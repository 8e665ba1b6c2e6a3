//! Go handlers are compiled as the builder compiles them, with the toolchain of this machine.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use builder::golang::{Compile as _, LocalCompile, plan};
use builder::tree::Tree;
use builder::zip::{Data, Kind};

use super::interpreter::Interpreter;
use crate::go_proxy;

/// How long a compilation may take.
const LIMIT: Duration = Duration::from_secs(600);
/// Folders that hold no Go sources.
const LEFT_OUT: [&str; 4] = [".git", ".hg", "node_modules", ".serverless"];

/// Compiles the package in `package` of a directory; the error is what its author should read.
pub(super) fn compile(directory: &Path, package: &str, toolchain: &Interpreter) -> Result<Vec<u8>, String> {
    let package = package.trim_end_matches('/');
    let package = package.strip_prefix("./").unwrap_or(package);
    let package = if package.is_empty() { "." } else { package };
    let files = read(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut tree = Tree::default();
    for (path, bytes) in &files {
        tree.insert(path, Kind::File { executable: false, data: Data::plain(bytes) });
    }
    let mut job = plan(&tree, package).map_err(|error| error.to_string())?;
    // The program runs here, not in an image.
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    job.environment.insert("GOARCH".to_owned(), architecture.to_owned());
    let cache = toolchain.cache.clone().unwrap_or_else(|| crate::programs::cache().join("go-build"));
    let compiler = LocalCompile {
        proxy: go_proxy::of_machine(None, Some(&toolchain.path)).map_err(|error| error.to_string())?,
        modules: crate::programs::cache().join("go-modules"),
        toolchain: toolchain.path.clone(),
        cache,
        timeout: LIMIT,
    };
    compiler.compile(&job).map_err(|error| error.to_string())
}

/// All files below a directory, by path.
fn read(directory: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    read_into(directory, "", &mut files)?;
    Ok(files)
}

fn read_into(directory: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, inside) = (entry.path(), format!("{prefix}{name}"));
        // Links count as what they lead to; one that leads nowhere is an editor's.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() && !LEFT_OUT.contains(&name.as_str()) && !entry.file_type()?.is_symlink() {
            read_into(&path, &format!("{inside}/"), files)?;
        } else if metadata.is_file() {
            files.push((inside, fs::read(&path)?));
        }
    }
    Ok(())
}
