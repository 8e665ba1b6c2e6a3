//! `recipe.toml`: what a base image is made of, as a person writes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use contract::runtime::{Language, Runtime};
use serde::Deserialize;

use super::BaseError;
use crate::Architecture;

/// Name of the file in a recipe's folder.
const FILE: &str = "recipe.toml";

/// Images that no function runs on: `pip install` for a function, in that function's own environment.
pub const BUILD_IMAGES: [&str; 2] = ["python-dep2", "python-dep3"];

/// A base image's recipe. Paths are those of the image, without a leading slash.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The runtime's canonical name, or that of a build image; also the name of the recipe's folder.
    pub runtime: String,
    /// Debian's code name.
    pub suite: String,
    /// The machines it can be built for; all that there are when none is named.
    #[serde(default = "all_architectures")]
    pub architectures: Vec<Architecture>,
    /// Debian packages, all of them: nothing is added for dependencies.
    pub debian: Vec<String>,
    /// More of them, for one architecture.
    #[serde(default)]
    pub debian_for: BTreeMap<Architecture, Vec<String>>,
    /// Packages of npm.
    #[serde(default)]
    pub npm: Vec<NpmPackage>,
    /// Packages of the Python package index.
    #[serde(default)]
    pub python: Vec<PythonPackage>,
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
    /// The machine that this reading of the recipe is for.
    #[serde(skip, default = "host")]
    pub(crate) architecture: Architecture,
    /// What a build image runs when nothing else is said.
    #[serde(default)]
    pub command: Vec<String>,
    /// The program that compiles sources ahead; the worker's when none is named.
    pub interpreter: Option<String>,
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
    /// The only machine that it is for; all when none is named.
    pub arch: Option<Architecture>,
    /// Its exact version: npm's tarballs do not change and no newer one is looked for.
    pub version: String,
    /// Path in the package to path in the image.
    pub files: BTreeMap<String, String>,
}

/// A pure Python package, taken whole from its wheel. Its commands go to `usr/local/bin`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PythonPackage {
    /// Its name.
    pub name: String,
    /// Its exact version: a wheel does not change and no newer one is looked for.
    pub version: String,
    /// The folder of the image that modules are found in.
    pub into: String,
}

fn all_architectures() -> Vec<Architecture> {
    Architecture::ALL.to_vec()
}

fn host() -> Architecture {
    Architecture::HOST
}

impl Recipe {
    /// Reads the recipe of a folder, with what it says for one architecture.
    ///
    /// # Errors
    /// No such file, not a recipe, a recipe for a runtime that does not exist, or not for this architecture.
    pub fn load(folder: &Path, architecture: Architecture) -> Result<Self, BaseError> {
        let mut recipe = Self::read(folder)?;
        if !recipe.architectures.contains(&architecture) {
            return Err(BaseError::NotForArchitecture { runtime: recipe.runtime, architecture });
        }
        recipe.architecture = architecture;
        recipe.debian.extend(recipe.debian_for.remove(&architecture).unwrap_or_default());
        recipe.npm.retain(|package| package.arch.is_none_or(|only| only == architecture));
        recipe.check()?;
        Ok(recipe)
    }

    /// The architectures that the recipe of a folder can be built for.
    ///
    /// # Errors
    /// No such file, or not a recipe.
    pub fn architectures(folder: &Path) -> Result<Vec<Architecture>, BaseError> {
        Ok(Self::read(folder)?.architectures)
    }

    fn read(folder: &Path) -> Result<Self, BaseError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(BaseError::io(&path))?;
        let mut recipe: Self = toml::from_str(&text)
            .map_err(|e| BaseError::Recipe { path: path.clone(), reason: e.to_string() })?;
        (recipe.path, recipe.text) = (path, text);
        Ok(recipe)
    }

    /// The language whose workers go in; none for a build image.
    ///
    /// # Errors
    /// The name is not one of the contract's runtimes, nor of the build images.
    pub fn language(&self) -> Result<Option<Language>, BaseError> {
        match Runtime::from_name(&self.runtime) {
            Some(runtime) if runtime.base() == self.runtime => Ok(Some(runtime.language())),
            None if BUILD_IMAGES.contains(&&*self.runtime) => Ok(None),
            _ => Err(self.wrong(format!("there is no runtime {:?}", self.runtime))),
        }
    }

    fn check(&self) -> Result<(), BaseError> {
        self.language()?;
        let links = self.links.keys();
        let paths = links.chain(&self.drop).chain(&self.keep).chain(&self.trim).chain(&self.precompile);
        let paths = paths.chain(self.python.iter().map(|package| &package.into));
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

    /// The program that compiles sources ahead, as a path of the image.
    pub(crate) fn interpreter(&self) -> &str {
        let worker = || self.worker.first().map_or("", String::as_str);
        self.interpreter.as_deref().unwrap_or_else(worker).trim_start_matches('/')
    }

    /// Names of all packages, Debian's first.
    pub(crate) fn package_names(&self) -> impl Iterator<Item = &str> {
        self.debian.iter().map(String::as_str).chain(self.exact_versions().map(|(name, _)| name))
    }

    /// Names and versions of the packages whose version the recipe says.
    pub(crate) fn exact_versions(&self) -> impl Iterator<Item = (&str, &str)> {
        let npm = self.npm.iter().map(|package| (package.name.as_str(), package.version.as_str()));
        npm.chain(self.python.iter().map(|package| (package.name.as_str(), package.version.as_str())))
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
        Recipe::load(folder.path(), Architecture::Amd64)
    }

    #[test]
    fn a_recipe_is_read() {
        let recipe = load(
            "runtime = 'node10'\nsuite = 'bookworm'\ndebian = ['libc6']\n[[npm]]\nname = 'n'\nversion = '1'\nfiles = { 'bin/node' = 'usr/local/bin/node' }",
        )
        .unwrap();
        assert_eq!(recipe.language().unwrap(), Some(Language::Node));
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

    #[test]
    fn an_architecture_has_its_own_packages() {
        let text = "runtime = 'node10'\nsuite = 'bookworm'\ndebian = ['a']\ndebian_for = { arm64 = ['b'] }\n\
                    [[npm]]\nname = 'x'\narch = 'amd64'\nversion = '1'\nfiles = {}\n\
                    [[npm]]\nname = 'y'\narch = 'arm64'\nversion = '1'\nfiles = {}";
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        let names = |architecture| -> Vec<String> {
            Recipe::load(folder.path(), architecture).unwrap().package_names().map(str::to_owned).collect()
        };
        assert_eq!(names(Architecture::Amd64), ["a", "x"]);
        assert_eq!(names(Architecture::Arm64), ["a", "b", "y"]);
        fs::write(folder.path().join(FILE), format!("architectures = ['amd64']\n{text}")).unwrap();
        let error = Recipe::load(folder.path(), Architecture::Arm64).unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no image of node10 for arm64: its programs are not published for that machine"
        );
    }
}
