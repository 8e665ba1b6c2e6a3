//! Python's `.pyc` files. Those of today's Pythons are checked by nobody at run time (`unchecked-hash`), since an image
//! does not change; older ones compare the source's time, which is the same in every image.

use std::fs;
use std::io;
use std::path::Path;

use contract::environment::{CODE_DIRECTORY, WORKER_DIRECTORY};

use super::local::{Room, Script, result};
use super::{Caches, PrecompileError, PrecompileJob, is_own};

/// Compiles one file after the other in one process: marshalled code then does not depend on what ran beside.
const SCRIPT: &str = r"
import os, py_compile, sys
folder = sys.argv[1]
mode = {}
if hasattr(py_compile, 'PycInvalidationMode'):
    mode['invalidation_mode'] = py_compile.PycInvalidationMode.UNCHECKED_HASH
sys.stdout.write('%s\n' % getattr(getattr(sys, 'implementation', None), 'cache_tag', ''))
with open(folder + '/list', 'rb') as names:
    names = names.read().decode('utf-8').split('\n')
for number, line in enumerate(names):
    if not line:
        continue
    if sys.version_info[0] == 2:
        line = line.encode('utf-8')
    source, name, mtime = line.split('\t')
    os.utime(source, (int(mtime), int(mtime)))
    try:
        py_compile.compile(source, cfile='%s/out/%d' % (folder, number), dfile=name, doraise=True, **mode)
        sys.stdout.write('%d\n' % number)
    except Exception as error:
        reason = ' '.join(str(error).split())
        sys.stdout.write('%d %s\n' % (number, reason.encode('ascii', 'replace').decode('ascii')))
";

/// Writes the sources and the script. The workers are compiled, too, unless the image has them compiled; their paths
/// are absolute.
pub(super) fn prepare(job: &PrecompileJob<'_>, room: &Room) -> Result<Script, PrecompileError> {
    let mut sources =
        job.lay_out(&room.outside("src"), |path| path.ends_with(".py") && !path.contains('\t'))?;
    let of_function =
        |path: &String| format!("{}/{path}\t{CODE_DIRECTORY}/{path}\t{}", Room::inside("src"), job.mtime);
    let mut list: Vec<String> = sources.iter().map(of_function).collect();
    let mut workers = Vec::new();
    let folder = format!("{WORKER_DIRECTORY}/python");
    if let Some(outside) = room.of_image(&folder) {
        uncompiled(&outside, &folder, &mut workers)?;
    }
    workers.sort();
    list.extend(workers.iter().map(|path| format!("{path}\t{path}\t0")));
    sources.append(&mut workers);
    fs::write(room.outside("list"), list.join("\n"))?;
    fs::write(room.outside("compile.py"), SCRIPT)?;
    let folder = Room::inside("");
    let folder = folder.trim_end_matches('/').to_owned();
    let arguments = vec![
        // Neither the user's nor the image's own start-up modules.
        "-S".to_owned(),
        "-s".to_owned(),
        "-B".to_owned(),
        Room::inside("compile.py"),
        folder,
    ];
    let environment = &[("PYTHONHASHSEED", "0"), ("LC_ALL", "C.UTF-8")];
    Ok(Script { arguments, environment, sources })
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
pub(super) fn collect(sources: &[String], said: &str, room: &Room) -> Result<Caches, PrecompileError> {
    let mut lines = said.lines();
    let tag = lines.next().unwrap_or_default();
    if !tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(PrecompileError::Failed(format!("the interpreter calls itself {tag:?}")));
    }
    let mut caches = Caches::default();
    for line in lines {
        let (number, reason) = line.split_once(' ').map_or((line, None), |(number, why)| (number, Some(why)));
        let Some((at, source)) = number.parse().ok().and_then(|at: usize| Some((at, sources.get(at)?)))
        else {
            return Err(PrecompileError::Failed(format!("the interpreter said {line:?}")));
        };
        match reason {
            None => {
                let bytes = result(&room.outside("out").join(at.to_string()))?;
                let path = compiled_path(source, tag);
                match path.strip_prefix('/') {
                    Some(path) => caches.workers.push((path.to_owned(), bytes)),
                    None => caches.files.push((path, bytes)),
                }
            }
            Some(reason) if is_own(source) && !source.starts_with('/') => {
                caches.warnings.push(format!("{source} does not compile: {reason}"));
            }
            // Packages bring files for other versions, which nobody imports.
            Some(_) => {}
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
