//! `recipe.toml`: what a base image is made of, as a person writes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use contract::runtime::{Language, Runtime};
use serde::Deserialize;

use super::BaseError;

/// Name of the file in a recipe's folder.
const FILE: &str = "recipe.toml";

/// A base image's recipe. Paths are those of the image, without a leading slash.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The runtime's canonical name; also the name of the recipe's folder.
    pub runtime: String,
    /// Debian's code name.
    pub suite: String,
    /// Debian packages, all of them: nothing is added for dependencies.
    pub debian: Vec<String>,
    /// Packages of npm.
    #[serde(default)]
    pub npm: Vec<NpmPackage>,
    /// Patterns of paths that stay out.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Patterns of paths that stay in although `drop` names them.
    #[serde(default)]
    pub keep: Vec<String>,
    /// Symbolic links to add: path to target.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Executables whose symbol tables and debug sections are cut off.
    #[serde(default)]
    pub trim: Vec<String>,
    /// Folders of Python sources to compile ahead.
    #[serde(default)]
    pub precompile: Vec<String>,
    /// Environment variables of the image.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Command line of the worker; none for a runtime whose handler is its own program.
    #[serde(default)]
    pub worker: Vec<String>,
    /// Where it was read from.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// The file's text, for the cache key.
    #[serde(skip)]
    pub(crate) text: String,
}

/// A package of npm and the files taken from it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpmPackage {
    /// Its name.
    pub name: String,
    /// Its exact version: npm's tarballs do not change and no newer one is looked for.
    pub version: String,
    /// Path in the package to path in the image.
    pub files: BTreeMap<String, String>,
}

impl Recipe {
    /// Reads the recipe of a folder.
    ///
    /// # Errors
    /// No such file, not a recipe, or a recipe for a runtime that does not exist.
    pub fn load(folder: &Path) -> Result<Self, BaseError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(BaseError::io(&path))?;
        let mut recipe: Self = toml::from_str(&text)
            .map_err(|e| BaseError::Recipe { path: path.clone(), reason: e.to_string() })?;
        (recipe.path, recipe.text) = (path, text);
        recipe.check()?;
        Ok(recipe)
    }

    /// The language whose workers go in.
    ///
    /// # Errors
    /// The runtime's name is not one of the contract's.
    pub fn language(&self) -> Result<Language, BaseError> {
        match Runtime::from_name(&self.runtime) {
            Some(runtime) if runtime.base() == self.runtime => Ok(runtime.language()),
            _ => Err(self.wrong(format!("there is no runtime {:?}", self.runtime))),
        }
    }

    fn check(&self) -> Result<(), BaseError> {
        self.language()?;
        let links = self.links.keys();
        let paths = links.chain(&self.drop).chain(&self.keep).chain(&self.trim).chain(&self.precompile);
        for path in paths.chain(self.npm.iter().flat_map(|package| package.files.values())) {
            if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
                return Err(self.wrong(format!("{path:?} must be a plain path without a leading slash")));
            }
        }
        let mut names: Vec<&str> = self.package_names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(self.wrong(format!("the package {} is named twice", pair[0]))),
            None => Ok(()),
        }
    }

    /// Names of all packages, Debian's first.
    pub(crate) fn package_names(&self) -> impl Iterator<Item = &str> {
        self.debian.iter().chain(self.npm.iter().map(|package| &package.name)).map(String::as_str)
    }

    fn wrong(&self, reason: String) -> BaseError {
        BaseError::Recipe { path: self.path.clone(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Recipe, BaseError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        Recipe::load(folder.path())
    }

    #[test]
    fn a_recipe_is_read() {
        let recipe = load(
            "runtime = 'node10'\nsuite = 'bookworm'\ndebian = ['libc6']\n[[npm]]\nname = 'n'\nversion = '1'\nfiles = { 'bin/node' = 'usr/local/bin/node' }",
        )
        .unwrap();
        assert_eq!(recipe.language().unwrap(), Language::Node);
        assert_eq!(recipe.package_names().collect::<Vec<_>>(), ["libc6", "n"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, complaint) in [
            ("runtime = 'cobol'\nsuite = 'bookworm'\ndebian = []", "no runtime \"cobol\""),
            ("runtime = 'python3'\nsuite = 'bookworm'\ndebian = []", "no runtime \"python3\""),
            ("runtime = 'golang'\nsuite = 'b'\ndebian = []\ndrop = ['/usr']", "leading slash"),
            ("runtime = 'golang'\nsuite = 'b'\ndebian = []\nkeep = ['usr/../etc']", "plain path"),
            ("runtime = 'golang'\nsuite = 'b'\ndebian = ['a', 'a']", "named twice"),
            ("runtime = 'golang'\nsuite = 'b'\ndebian = []\nsurprise = 1", "surprise"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(complaint), "{text}: {error}");
        }
    }
}
