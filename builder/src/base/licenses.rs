//! `licenses.toml`, beside the recipes' folders: each package's licence, of which an image's label is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{BaseError, Recipe};

/// Name of the file.
const FILE: &str = "licenses.toml";
/// What the shim and the workers are listed as.
const OURS: &str = "zipship";

/// The licences of all that a recipe takes, as one SPDX expression: each once, in the order of their names.
pub(crate) fn expression(recipe_dir: &Path, recipe: &Recipe) -> Result<String, BaseError> {
    let path = recipe_dir.parent().unwrap_or(recipe_dir).join(FILE);
    let text = fs::read_to_string(&path).map_err(BaseError::io(&path))?;
    let wrong = |reason: String| BaseError::Recipe { path: path.clone(), reason };
    let known: BTreeMap<String, String> = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let ours = recipe.language()?.map(|_| OURS);
    let mut licenses = BTreeSet::new();
    for package in recipe.package_names().chain(ours) {
        let expression =
            known.get(package).ok_or_else(|| wrong(format!("there is no licence for {package}")))?;
        licenses.extend(expression.split(" AND ").map(str::trim));
    }
    Ok(licenses.into_iter().collect::<Vec<_>>().join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_licence_is_named_once_and_a_package_without_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let list = "zipship = 'Apache-2.0'\na = 'MIT'\nb = 'GPL-2.0-only AND Apache-2.0'\n";
        fs::write(folder.path().join(FILE), list).unwrap();
        let found = |name: &str, packages: &str| {
            let recipe =
                toml::from_str(&format!("runtime = '{name}'\nsuite = 's'\ndebian = {packages}")).unwrap();
            expression(&folder.path().join(name), &recipe).map_err(|error| error.to_string())
        };
        assert_eq!(found("golang", "['b', 'a']").unwrap(), "Apache-2.0 AND GPL-2.0-only AND MIT");
        assert_eq!(found("python-dep3", "['a']").unwrap(), "MIT");
        assert!(found("golang", "['c']").unwrap_err().ends_with("licenses.toml: there is no licence for c"));
    }
}
