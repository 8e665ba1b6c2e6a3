//! The names of all test functions of the workspace, for documents that say what proves them.

use std::path::Path;

/// Names of the tests of all crates below `workspace`.
pub(crate) fn tests(workspace: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(workspace).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.join("src").is_dir() || path.ends_with("tests") {
            collect(&path, &mut names);
        }
    }
    names
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            names.extend(functions(&std::fs::read_to_string(&path).expect("text")));
        }
    }
}

/// Functions below a `#[test]` or `#[tokio::test]`.
pub(crate) fn functions(text: &str) -> Vec<String> {
    let mut is_test = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            names.extend(is_test.then(|| name.to_owned()));
            is_test = false;
        }
    }
    names
}
