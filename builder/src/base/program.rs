//! The part of a base that is ours: the shim and the worker programs, a layer of their own.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use contract::environment::{SHIM_PATH, WORKER_DIRECTORY};
use contract::runtime::Language;

use super::tree::{Node, Tree};
use super::{BaseError, BaseRequest, Recipe, elf};
use crate::Architecture;

/// What lies beside the workers and is not one.
const NOT_SHIPPED: [&str; 4] = ["__pycache__", "node_modules", "test", "tests"];

/// Files of the layer: path in the image and content.
pub(crate) struct Program {
    /// Sorted by path.
    pub(crate) files: Vec<(String, Bytes)>,
}

/// What goes into a recipe's image: nothing into a build image.
pub(crate) fn load(recipe: &Recipe, request: &BaseRequest<'_>) -> Result<Program, BaseError> {
    match recipe.language()? {
        Some(language) => read(request.shim, request.workers, language, request.architecture),
        None => Ok(Program { files: Vec::new() }),
    }
}

/// Reads the shim and the workers of a language.
pub(crate) fn read(
    shim: &Path,
    workers: &Path,
    language: Language,
    architecture: Architecture,
) -> Result<Program, BaseError> {
    let wrong = |reason: String| BaseError::Shim { path: shim.to_owned(), architecture, reason };
    let executable = fs::read(shim).map_err(|e| wrong(e.to_string()))?;
    if !elf::is_static_executable(&executable, architecture) {
        let reason = "not a static executable for it, and not every base has a loader";
        return Err(wrong(format!("the image is for {architecture}; {reason}")));
    }
    let mut files = vec![(SHIM_PATH.trim_start_matches('/').to_owned(), Bytes::from(executable))];
    if language != Language::Golang {
        let folder = workers.join(language.name());
        let below = format!("{}/{}", WORKER_DIRECTORY.trim_start_matches('/'), language.name());
        read_folder(&folder, &below, &mut files)?;
        if files.len() == 1 {
            return Err(BaseError::NoWorkers { path: folder, language: language.name().to_owned() });
        }
    }
    files.sort();
    Ok(Program { files })
}

fn read_folder(folder: &Path, below: &str, into: &mut Vec<(String, Bytes)>) -> Result<(), BaseError> {
    for entry in fs::read_dir(folder).map_err(BaseError::io(folder))? {
        let path = entry.map_err(BaseError::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inner = format!("{below}/{name}");
        if name.starts_with('.') || NOT_SHIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            read_folder(&path, &inner, into)?;
        } else {
            into.push((inner, fs::read(&path).map_err(BaseError::io(&path))?.into()));
        }
    }
    Ok(())
}

impl Program {
    /// The files as they lie in an image.
    pub(crate) fn tree(self) -> Result<Tree, super::tree::Refusal> {
        let mut tree = Tree::default();
        for (path, bytes) in self.files {
            let mode = if SHIM_PATH.ends_with(&path) { 0o755 } else { 0o644 };
            tree.insert(&path, Node::File { bytes, mode })?;
        }
        Ok(tree)
    }

    /// The layer's files. Refuses a recipe whose command line names a worker that is not there.
    pub(crate) fn into_tree(self, recipe: &Recipe) -> Result<Tree, BaseError> {
        let wrong = |reason: String| BaseError::Recipe { path: recipe.path.clone(), reason };
        let tree = self.tree().map_err(|e| wrong(e.to_string()))?;
        let ours = |argument: &&String| argument.starts_with(WORKER_DIRECTORY);
        match recipe.worker.iter().filter(ours).find(|path| tree.get(&path[1..]).is_none()) {
            Some(path) => Err(wrong(format!("worker: there is no {path} among the worker programs"))),
            None => Ok(tree),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(worker: &str) -> Recipe {
        toml::from_str(&format!("runtime = 'node10'\nsuite = 'b'\ndebian = []\nworker = ['/n', '{worker}']"))
            .unwrap()
    }

    #[test]
    fn a_script_is_no_shim() {
        let folder = tempfile::tempdir().unwrap();
        let shim = folder.path().join("shim");
        fs::write(&shim, "#!/bin/sh\n").unwrap();
        let error = |architecture| {
            read(&shim, folder.path(), Language::Golang, architecture).err().unwrap().to_string()
        };
        let (amd64, arm64) = (error(Architecture::Amd64), error(Architecture::Arm64));
        assert!(amd64.contains("for amd64; not a static") && amd64.contains("crt-static"), "{amd64}");
        assert!(arm64.contains("for arm64; not a static") && arm64.contains("scripts/aarch64"), "{arm64}");
    }

    #[test]
    fn tests_and_caches_stay_out_and_the_order_is_fixed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.js", "lib/a.js", "tests/x.js", "__pycache__/y.pyc", ".hidden"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let mut files = Vec::new();
        read_folder(folder.path(), "w", &mut files).unwrap();
        files.sort();
        assert_eq!(files.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), ["w/b.js", "w/lib/a.js"]);
    }

    #[test]
    fn a_worker_that_is_not_there_is_named() {
        let program =
            || Program { files: vec![("usr/local/lib/zipship/node/worker.js".into(), Bytes::new())] };
        assert!(program().into_tree(&recipe("/usr/local/lib/zipship/node/worker.js")).is_ok());
        let error =
            program().into_tree(&recipe("/usr/local/lib/zipship/node/other.js")).unwrap_err().to_string();
        assert!(error.contains("no /usr/local/lib/zipship/node/other.js"), "{error}");
    }
}
