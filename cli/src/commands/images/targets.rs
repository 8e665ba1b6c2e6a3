//! Which images a command is about: names and architectures.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::bail;
use builder::Architecture;
use builder::base::{BUILD_IMAGES, Recipe};
use clap::Args;
use contract::runtime::Runtime;

use super::defaults;
use crate::programs::ShimOption;

/// The images that a command is about.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Runtimes and build images (python-dep2, python-dep3); all runtimes when none is named.
    names: Vec<String>,
    /// Architectures: amd64, arm64, or all that an image has [default: this machine's; for update all].
    #[arg(long = "arch", visible_alias = "platform", value_name = "ARCH", value_delimiter = ',')]
    architectures: Vec<Wanted>,
    /// Folder with one recipe folder per image [default: ./images, or beside the executable].
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
}

impl Which {
    /// Where the recipes are.
    pub(super) fn recipes(&self) -> anyhow::Result<PathBuf> {
        defaults::recipes(self.recipes.as_deref())
    }

    /// The images, for `otherwise` when no architecture is named.
    pub(super) fn targets(&self, otherwise: Wanted) -> anyhow::Result<Vec<Target>> {
        let wanted = if self.architectures.is_empty() { &[otherwise][..] } else { &self.architectures };
        chosen(&self.names, wanted, &self.recipes()?)
    }
}

/// What goes into an image of ours besides packages.
#[derive(Debug, Args)]
pub(super) struct Programs {
    /// The static shim, for one architecture: `arm64=FILE` [default: the one in this binary, where cargo builds it, or
    /// beside the executable].
    #[arg(long, value_name = "[ARCH=]FILE")]
    shim: Vec<ShimOption>,
    /// Folder with the worker programs per language [default: those in this binary, ./runtime-shim/workers, or beside the executable].
    #[arg(long, value_name = "DIR")]
    workers: Option<PathBuf>,
}

impl Programs {
    pub(super) fn workers(&self) -> anyhow::Result<PathBuf> {
        defaults::workers(self.workers.as_deref())
    }

    pub(super) fn shim(&self, architecture: Architecture) -> anyhow::Result<PathBuf> {
        crate::programs::shim_for(architecture, &self.shim)
    }
}

/// One image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// Folder of its recipe.
    pub(super) name: &'static str,
    /// The machine it is for.
    pub(super) architecture: Architecture,
}

/// An argument of `--arch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This one: an image without it is an error.
    One(Architecture),
    /// Whatever an image has.
    All,
}

impl Wanted {
    /// This machine's.
    pub(super) const HERE: Self = Self::One(Architecture::HOST);
}

impl FromStr for Wanted {
    type Err = builder::NoSuchArchitecture;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

/// The named images, or all runtimes; for these architectures.
fn chosen(names: &[String], wanted: &[Wanted], recipes: &Path) -> anyhow::Result<Vec<Target>> {
    let mut chosen = Vec::new();
    for name in known(names)? {
        for architecture in architectures(wanted) {
            let strict = !names.is_empty() && wanted.contains(&Wanted::One(architecture));
            // A strict one that is not there is an error of the build, which says why.
            if strict || Recipe::architectures(&recipes.join(name))?.contains(&architecture) {
                chosen.push(Target { name, architecture });
            }
        }
    }
    Ok(chosen)
}

/// In their order, each once.
fn architectures(wanted: &[Wanted]) -> Vec<Architecture> {
    let all = wanted.contains(&Wanted::All);
    let named = |architecture: &Architecture| all || wanted.contains(&Wanted::One(*architecture));
    Architecture::ALL.into_iter().filter(named).collect()
}

/// Names of runtimes (aliases are resolved) and build images, each once; all runtimes when there is none.
fn known(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    if names.is_empty() {
        return Ok(Runtime::ALL.into_iter().map(Runtime::base).collect());
    }
    let mut known = Vec::new();
    for name in names {
        let runtime = Runtime::from_name(name).map(Runtime::base);
        match runtime.or_else(|| BUILD_IMAGES.into_iter().find(|image| image == name)) {
            Some(found) if known.contains(&found) => {}
            Some(found) => known.push(found),
            None => bail!(
                "there is no runtime {name:?}; there are: {}; and the build images {}",
                Runtime::names().join(", "),
                BUILD_IMAGES.join(", ")
            ),
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen_of(names: &[&str], wanted: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let wanted: Vec<Wanted> = wanted.iter().map(|text| text.parse().unwrap()).collect();
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
        let chosen = chosen(&names, &wanted, &recipes).unwrap();
        chosen.iter().map(|target| format!("{} {}", target.name, target.architecture)).collect()
    }

    #[test]
    fn names_and_aliases_are_chosen_once() {
        let names = ["python3", "python311", "python-dep3"];
        assert_eq!(chosen_of(&names, &["amd64", "linux/amd64"]), ["python311 amd64", "python-dep3 amd64"]);
        let error = known(&["cobol".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("golang, node8, node10") && error.contains("python-dep2"), "{error}");
    }

    #[test]
    fn all_architectures_are_those_that_a_recipe_has() {
        assert_eq!(
            chosen_of(&["node8", "node10"], &["all"]),
            ["node8 amd64", "node10 amd64", "node10 arm64"]
        );
        assert_eq!(chosen_of(&[], &["amd64"]).len(), Runtime::ALL.len());
        assert_eq!(chosen_of(&[], &["arm64"]).len(), Runtime::ALL.len() - 2);
        // Asked for by name, it is not left out silently.
        assert_eq!(chosen_of(&["node8"], &["arm64"]), ["node8 arm64"]);
    }
}
