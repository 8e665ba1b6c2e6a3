//! Node's compile cache, which Node has from 22 on: found through `NODE_COMPILE_CACHE`, keyed by Node's version, the
//! machine's kind and the user, so a cache that does not fit is only not used.

use std::fs;
use std::io::BufRead;

use contract::environment::{CODE_DIRECTORY, WORKER_DIRECTORY};

use super::plan::{Room, SOURCES, Script};
use super::{Caches, PrecompileError, PrecompileJob, is_own, results};

pub(super) const SCRIPT: &str = include_str!("compile.js");
/// Below the code directory.
const CACHE: &str = ".node-compile-cache";

/// Whether node can compile it; a tab would end its name in the list.
pub(super) fn is_source(path: &str) -> bool {
    [".js", ".cjs", ".mjs"].iter().any(|ending| path.ends_with(ending)) && !path.contains('\t')
}

/// The variable that node finds its cache by.
pub(super) fn variable() -> (String, String) {
    ("NODE_COMPILE_CACHE".to_owned(), format!("{CODE_DIRECTORY}/{CACHE}"))
}

/// Writes the sources and the script, which compiles the workers of the image, too.
pub(super) fn prepare(job: &PrecompileJob<'_>, room: &Room<'_>) -> Result<Script, PrecompileError> {
    // What kind a source is stands in the nearest package.json.
    let wanted = |path: &str| is_source(path) || path.ends_with("package.json");
    let mut sources = job.lay_out(&room.folder.join(SOURCES), wanted)?;
    sources.retain(|path| is_source(path));
    let of_function = |path: &String| format!("{}/{SOURCES}/{path}\t{CODE_DIRECTORY}/{path}", room.inside);
    let list: Vec<String> = sources.iter().map(of_function).collect();
    fs::write(room.folder.join("list"), list.join("\n"))?;
    fs::write(room.folder.join("compile.js"), SCRIPT)?;
    let arguments = [
        // What V8 writes into a cache depends on its random numbers, and on nothing else that differs.
        "--random-seed=1".to_owned(),
        "--expose-internals".to_owned(),
        "--no-warnings".to_owned(),
        format!("{}/compile.js", room.inside),
        room.inside.to_owned(),
        room.scratch.to_owned(),
        room.results.to_string(),
        format!("{WORKER_DIRECTORY}/node"),
    ];
    Ok(Script { arguments: arguments.into(), environment: &[], sources })
}

/// Takes over what was compiled.
pub(super) fn collect(sources: &[String], from: &mut impl BufRead) -> Result<Caches, PrecompileError> {
    let mut caches = Caches::default();
    for made in results::read(from)? {
        match made.outcome {
            Ok(bytes) if is_entry(&made.label) => {
                caches.files.push((format!("{CACHE}/{}", made.label), bytes))
            }
            Ok(_) => {
                return Err(PrecompileError::Failed(format!("the cache has a file called {:?}", made.label)));
            }
            Err(reason) => {
                let name = results::source(&made.label, sources)?;
                if is_own(name) {
                    caches.warnings.push(format!("{name} does not compile: {reason}"));
                }
            }
        }
    }
    caches.files.sort();
    if caches.files.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(PrecompileError::Failed("the cache has two files of one name".to_owned()));
    }
    if caches.files.is_empty() {
        return Err(PrecompileError::Unsupported("its node wrote no compile cache".to_owned()));
    }
    Ok(caches)
}

/// A folder and a file in it, called as node calls them.
fn is_entry(label: &str) -> bool {
    let plain = |name: &str| {
        let all = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        all && !name.is_empty() && !name.starts_with('.')
    };
    label.split_once('/').is_some_and(|(folder, file)| plain(folder) && plain(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_node_itself_would_write_are_taken() {
        assert!(is_entry("v22.21.1-x64-efe9a9df-1000/f9e8c1a0"));
        for odd in ["", "a", "a/", "/a", "../a", "a/..", "a/.b", "a/b/c", "a/b\u{0}", "\u{e9}/a", "a/b\\c"] {
            assert!(!is_entry(odd), "{odd:?}");
        }
    }

    #[test]
    fn a_cache_with_odd_or_equal_names_is_refused() {
        for said in ["../../x 1\na", "a/b 1\nxa/b 1\ny"] {
            assert!(matches!(collect(&[], &mut said.as_bytes()), Err(PrecompileError::Failed(_))), "{said}");
        }
        assert!(matches!(collect(&[], &mut &b""[..]), Err(PrecompileError::Unsupported(_))));
    }
}
