//! Node's compile cache, which Node has from 22 on: found through `NODE_COMPILE_CACHE`, keyed by Node's version, the
//! machine's kind and the user, so a cache that does not fit is only not used.

use std::fs;
use std::io;
use std::path::Path;

use contract::environment::{CODE_DIRECTORY, WORKER_DIRECTORY};

use super::local::{Room, Script, result};
use super::{Caches, PrecompileError, PrecompileJob, is_own};

const SCRIPT: &str = include_str!("compile.js");
/// Below the code directory.
const CACHE: &str = ".node-compile-cache";
/// Largest file of a cache that is taken over, in bytes.
const LARGEST: u64 = 64 << 20;

/// Writes the sources and the script. The workers of the image are compiled, too.
pub(super) fn prepare(job: &PrecompileJob<'_>, room: &Room) -> Result<Script, PrecompileError> {
    let wanted = |path: &str| {
        let source = [".js", ".cjs", ".mjs"].iter().any(|ending| path.ends_with(ending));
        !path.contains('\t') && (source || path.ends_with("package.json"))
    };
    let sources = job.lay_out(&room.outside("src"), wanted)?;
    let mut list: Vec<String> = sources
        .iter()
        .filter(|path| !path.ends_with(".json"))
        .map(|path| format!("{}/{path}\t{CODE_DIRECTORY}/{path}", Room::inside("src")))
        .collect();
    let workers = format!("{WORKER_DIRECTORY}/node");
    if let Some(folder) = room.of_image(&workers) {
        list.extend(scripts(&folder)?.iter().map(|name| format!("{workers}/{name}\t{workers}/{name}")));
    }
    fs::write(room.outside("list"), list.join("\n"))?;
    fs::write(room.outside("compile.js"), SCRIPT)?;
    let arguments = vec![
        // What V8 writes into a cache depends on its random numbers, and on nothing else that differs.
        "--random-seed=1".to_owned(),
        "--expose-internals".to_owned(),
        "--no-warnings".to_owned(),
        Room::inside("compile.js"),
        Room::inside("").trim_end_matches('/').to_owned(),
    ];
    Ok(Script { arguments, environment: &[], sources })
}

fn scripts(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if entry.file_type()?.is_file() && name.ends_with(".js") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Takes over what was compiled.
pub(super) fn collect(said: &str, room: &Room) -> Result<Caches, PrecompileError> {
    let mut caches = Caches::default();
    let out = room.outside("out");
    for folder in entries(&out)? {
        for name in entries(&out.join(&folder))? {
            let path = out.join(&folder).join(&name);
            if fs::symlink_metadata(&path)?.len() > LARGEST {
                return Err(PrecompileError::Failed(format!("{name} of the cache is too large")));
            }
            caches.files.push((format!("{CACHE}/{folder}/{name}"), result(&path)?));
        }
    }
    caches.files.sort();
    if caches.files.is_empty() {
        return Err(PrecompileError::Unsupported("its node wrote no compile cache".to_owned()));
    }
    caches.variable = Some(("NODE_COMPILE_CACHE".to_owned(), format!("{CODE_DIRECTORY}/{CACHE}")));
    for line in said.lines() {
        let Some((name, reason)) = line.split_once('\t') else { continue };
        let name = name.trim_start_matches(CODE_DIRECTORY).trim_start_matches('/');
        if is_own(name) {
            caches.warnings.push(format!("{name} does not compile: {reason}"));
        }
    }
    Ok(caches)
}

/// Names in a folder of the sandbox; others than node's own are refused.
fn entries(folder: &Path) -> Result<Vec<String>, PrecompileError> {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        if name.is_empty() || name.starts_with('.') || !plain(&name) {
            return Err(PrecompileError::Failed(format!("the cache has a file called {name:?}")));
        }
        names.push(name);
    }
    names.sort();
    Ok(names)
}
