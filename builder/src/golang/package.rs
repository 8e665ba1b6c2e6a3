//! The package clause of a Go file, read without a Go parser.

/// The name in a Go file's package clause; `None` when there is none.
pub(super) fn clause(source: &str) -> Option<&str> {
    let mut rest = source.trim_start_matches('\u{feff}').trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n')?.1.trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/")?.1.trim_start();
        } else {
            break;
        }
    }
    let after = rest.strip_prefix("package")?;
    let name = after.strip_prefix([' ', '\t'])?.trim_start_matches([' ', '\t']);
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    (end > 0).then(|| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::clause;

    #[test]
    fn clauses_are_found_behind_comments() {
        assert_eq!(clause("package main\n"), Some("main"));
        assert_eq!(
            clause("\u{feff}// c\n//go:build linux\n\n/* package x */ package  lib; import \"x\""),
            Some("lib")
        );
        for none in ["", "// package main", "packagemain", "/* open", "import \"x\""] {
            assert_eq!(clause(none), None, "{none:?}");
        }
    }
}
