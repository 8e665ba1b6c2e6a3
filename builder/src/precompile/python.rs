//! Python's `.pyc` files. Those of today's Pythons are checked by nobody at run time (`unchecked-hash`), since an image
//! does not change; older ones compare the source's time, which is the same in every image.

use std::fs;
use std::io::{self, BufRead};
use std::path::Path;

use contract::environment::{CODE_DIRECTORY, WORKER_DIRECTORY};

use super::plan::{Room, SOURCES, Script};
use super::{Caches, PrecompileError, PrecompileJob, is_own, results};

pub(super) const SCRIPT: &str = include_str!("compile.py");

/// Whether the interpreter can compile it; a tab would end its name in the list.
pub(super) fn is_source(path: &str) -> bool {
    path.ends_with(".py") && !path.contains('\t')
}

/// Writes the sources and the script.
pub(super) fn prepare(job: &PrecompileJob<'_>, room: &Room<'_>) -> Result<Script, PrecompileError> {
    let mut sources = job.lay_out(&room.folder.join(SOURCES), is_source)?;
    // Their times are what they will be in the image; those of an image are 0.
    let of_function = |path: &String| format!("{}/{SOURCES}/{path}\t{CODE_DIRECTORY}/{path}\t", room.inside);
    let mut list: Vec<String> = sources.iter().map(of_function).collect();
    let mut workers = Vec::new();
    let folder = format!("{WORKER_DIRECTORY}/python");
    if let Some(outside) = room.image.and_then(|image| of_image(image, &folder)) {
        uncompiled(&outside, &folder, &mut workers)?;
    }
    workers.sort();
    list.extend(workers.iter().map(|path| format!("{path}\t{path}\t0")));
    sources.append(&mut workers);
    fs::write(room.folder.join("list"), list.join("\n"))?;
    fs::write(room.folder.join("compile.py"), SCRIPT)?;
    let arguments = [
        // Neither the user's nor the image's own start-up modules.
        "-S".to_owned(),
        "-s".to_owned(),
        "-B".to_owned(),
        format!("{}/compile.py", room.inside),
        room.inside.to_owned(),
        room.scratch.to_owned(),
        room.results.to_string(),
    ];
    let environment = &[("PYTHONHASHSEED", "0"), ("LC_ALL", "C.UTF-8")];
    Ok(Script { arguments: arguments.into(), environment, sources })
}

/// A folder of an unpacked image, when it is one.
fn of_image(image: &Path, path: &str) -> Option<std::path::PathBuf> {
    let path = path.trim_start_matches('/');
    let real = fs::canonicalize(image.join(path)).ok()?;
    // Not through a link that leads out of the image.
    (real == fs::canonicalize(image).ok()?.join(path)).then_some(real)
}

/// The sources below a folder of the image that nothing was made of yet.
fn uncompiled(outside: &Path, inside: &str, into: &mut Vec<String>) -> io::Result<()> {
    let compiled = outside.join("__pycache__").is_dir();
    for entry in fs::read_dir(outside)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (kind, path) = (entry.file_type()?, format!("{inside}/{name}"));
        let source = kind.is_file() && name.ends_with(".py") && !name.contains(['\t', '\n']);
        if kind.is_dir() {
            uncompiled(&entry.path(), &path, into)?;
        } else if source && !compiled && !outside.join(format!("{name}c")).exists() {
            into.push(path);
        }
    }
    Ok(())
}

/// Takes over what was compiled.
pub(super) fn collect(sources: &[String], from: &mut impl BufRead) -> Result<Caches, PrecompileError> {
    let tag = results::line(from)?.unwrap_or_default();
    if !tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(PrecompileError::Failed(format!("the interpreter calls itself {tag:?}")));
    }
    let mut caches = Caches::default();
    for made in results::read(from)? {
        let source = results::source(&made.label, sources)?;
        match made.outcome {
            Ok(bytes) => {
                let path = compiled_path(source, &tag);
                match path.strip_prefix('/') {
                    Some(path) => caches.workers.push((path.to_owned(), bytes)),
                    None => caches.files.push((path, bytes)),
                }
            }
            Err(reason) if is_own(source) && !source.starts_with('/') => {
                caches.warnings.push(format!("{source} does not compile: {reason}"));
            }
            // Packages bring files for other versions, which nobody imports.
            Err(_) => {}
        }
    }
    caches.files.sort();
    caches.workers.sort();
    Ok(caches)
}

/// `a/b.py` is compiled to `a/__pycache__/b.cpython-311.pyc`, by a Python without a tag to `a/b.pyc`.
fn compiled_path(source: &str, tag: &str) -> String {
    if tag.is_empty() {
        return format!("{source}c");
    }
    let (folder, name) = source.rsplit_once('/').map_or(("", source), |(folder, name)| (folder, name));
    let stem = name.strip_suffix(".py").unwrap_or(name);
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    format!("{folder}__pycache__/{stem}.{tag}.pyc")
}

#[cfg(test)]
mod tests {
    use super::compiled_path;

    #[test]
    fn compiled_files_lie_where_the_interpreter_looks() {
        assert_eq!(compiled_path("a/b.c.py", "cpython-311"), "a/__pycache__/b.c.cpython-311.pyc");
        assert_eq!(compiled_path("b.py", "cpython-311"), "__pycache__/b.cpython-311.pyc");
        assert_eq!(compiled_path("a/b.py", ""), "a/b.pyc");
    }
}
