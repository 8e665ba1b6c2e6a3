//! The file that the handler names must be in the archive: the likeliest mistake gets the clearest answer.

use contract::runtime::{Handler, Language, NODE_ENDINGS};

use crate::BuildError;
use crate::tree::Tree;

/// How many files the answer lists.
const LISTED: usize = 10;

/// Checks that the handler's file is there.
///
/// # Errors
/// [`BuildError::HandlerMissing`] with what was looked for and what is there.
pub(crate) fn require(tree: &Tree<'_>, language: Language, handler: &Handler) -> Result<(), BuildError> {
    let looked_for = files(language, handler);
    if looked_for.iter().any(|path| tree.file(path).is_some()) {
        return Ok(());
    }
    Err(BuildError::HandlerMissing { has: candidates(tree, language, &looked_for), looked_for })
}

/// The files that would serve a handler.
fn files(language: Language, handler: &Handler) -> Vec<String> {
    match (language, handler) {
        (Language::Node, Handler::Export { path, .. }) => {
            NODE_ENDINGS.iter().map(|end| format!("{path}{end}")).collect()
        }
        (_, Handler::Export { path, .. }) => vec![format!("{path}.py"), format!("{path}/__init__.py")],
        (_, Handler::File { path } | Handler::Package { path }) => vec![path.clone()],
    }
}

/// Files of the language outside of installed packages; those of the same name, then the shallow ones first.
fn candidates(tree: &Tree<'_>, language: Language, looked_for: &[String]) -> Vec<String> {
    let endings: &[&str] = match language {
        Language::Node => &NODE_ENDINGS,
        Language::Python => &[".py"],
        Language::Golang => &[".go"],
    };
    let file = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let same = |path: &str| looked_for.iter().any(|wanted| file(wanted) == file(path));
    let installed = |path: &str| path.split('/').any(|c| matches!(c, "node_modules" | "package" | "vendor"));
    let mut found: Vec<&str> =
        tree.files().filter(|p| endings.iter().any(|end| p.ends_with(end)) && !installed(p)).collect();
    found.sort_by_key(|path| (!same(path), path.matches('/').count(), (*path).to_owned()));
    found.into_iter().take(LISTED).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::{Data, Kind};

    fn check(language: Language, handler: &str, files: &[&str]) -> Result<(), String> {
        let mut tree = Tree::default();
        for path in files {
            tree.insert(path, Kind::File { executable: false, data: Data::plain(b"") });
        }
        let handler = Handler::parse(language, handler).unwrap();
        require(&tree, language, &handler).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_of_handler_file_is_found() {
        for file in ["src/h.js", "src/h.mjs", "src/h.cjs", "src/h.ts", "src/h.mts", "src/h.cts"] {
            assert_eq!(check(Language::Node, "src/h.run", &[file]), Ok(()), "{file}");
        }
        assert_eq!(check(Language::Node, "src/h.js", &["src/h.js"]), Ok(()));
        assert!(check(Language::Node, "src/h.js", &["src/h.mjs"]).is_err());
        assert_eq!(check(Language::Python, "h.run", &["h.py"]), Ok(()));
        assert_eq!(check(Language::Python, "h.run", &["h/__init__.py"]), Ok(()));
        assert!(check(Language::Python, "h.run", &["h/x.py"]).is_err());
    }

    #[test]
    fn a_missing_file_is_named_with_what_is_there() {
        let files = ["b.js", "a.js", "deep/handler.js", "node_modules/x/handler.js", "readme.md"];
        assert_eq!(
            check(Language::Node, "handler.run", &files).unwrap_err(),
            "handler file handler.js or handler.cjs or handler.mjs or handler.ts or handler.cts or handler.mts is not in \
             the archive; \
             it has: deep/handler.js, a.js, b.js"
        );
        assert_eq!(
            check(Language::Python, "handler.run", &["x.js"]).unwrap_err(),
            "handler file handler.py or handler/__init__.py is not in the archive; it has no file of that kind"
        );
    }
}
