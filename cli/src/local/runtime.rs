//! Which language a directory's handler is in, and which version of it a runtime's name asks for.

use std::path::Path;

use contract::runtime::{Handler, HandlerError, Language};

use super::usage;

/// A runtime as the user names it, or as the files show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runtime {
    /// `node22`; the language's name when only that is known.
    pub(crate) name: String,
    pub(crate) language: Language,
    /// `22`, `3.11`.
    pub(crate) version: Option<String>,
}

impl Runtime {
    /// Takes a name apart: `node22`, `python311`, `golang`. Any version will do here: which ones can be deployed is
    /// the server's to say.
    pub(crate) fn parse(name: &str) -> anyhow::Result<Self> {
        let text = name.to_ascii_lowercase();
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let base = &text[..text.len() - digits.len()];
        let language = match base {
            "node" => Language::Node,
            "python" => Language::Python,
            "go" | "golang" => Language::Golang,
            _ => return unknown(name),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return unknown(name);
        }
        let version = match (language, digits.split_at(digits.len().min(1))) {
            (Language::Golang, _) => None,
            (Language::Node, _) => Some(digits.to_owned()).filter(|digits| !digits.is_empty()),
            // `python` and `python3` are the newest there is.
            (Language::Python, (_, "")) => None,
            (Language::Python, (major, minor)) => Some(format!("{major}.{minor}")),
        };
        Ok(Self { name: text, language, version })
    }

    /// Reads the language from the files of a directory. The second value says which file told it.
    pub(crate) fn detect(directory: &Path, handler: Option<&str>) -> anyhow::Result<(Self, String)> {
        if let Some(Err(HandlerError::Escapes(text))) =
            handler.map(|text| Handler::parse(Language::Node, text))
        {
            return usage(HandlerError::Escapes(text).to_string());
        }
        let found = match by_handler(directory, handler) {
            found if !found.is_empty() => found,
            _ => by_manifest(directory),
        };
        match found.as_slice() {
            [(language, file)] => {
                let name = language.name().to_owned();
                Ok((Self { name, language: *language, version: None }, file.clone()))
            }
            [] => usage(format!(
                "{} has no handler that can be found: no handler.js, handler.py or go.mod. Name it with --handler, \
                 and its runtime with --runtime",
                directory.display()
            )),
            several => {
                let files: Vec<&str> = several.iter().map(|(_, file)| file.as_str()).collect();
                let directory = directory.display();
                usage(format!("{directory} has {}: say which one with --runtime", files.join(" and ")))
            }
        }
    }
}

fn unknown<T>(name: &str) -> anyhow::Result<T> {
    usage(format!("there is no runtime {name:?}; write for example node22, python311 or golang"))
}

/// The languages whose handler of that name is there, each with the file that shows it.
fn by_handler(directory: &Path, handler: Option<&str>) -> Vec<(Language, String)> {
    let mut found = Vec::new();
    for language in [Language::Node, Language::Python, Language::Golang] {
        let handler = handler.unwrap_or(language.default_handler());
        let Ok(handler) = Handler::parse(language, handler) else { continue };
        found.extend(file_of(directory, language, &handler).map(|file| (language, file)));
    }
    found
}

/// The file of a directory in which a handler is; of a Go package the first by name.
pub(crate) fn file_of(directory: &Path, language: Language, handler: &Handler) -> Option<String> {
    match handler {
        Handler::Package { path } => go_file(&directory.join(path)),
        _ => files(language, handler).into_iter().find(|file| directory.join(file).is_file()),
    }
}

/// Where a handler is looked for; nothing for Go, whose files may have any name.
pub(crate) fn files(language: Language, handler: &Handler) -> Vec<String> {
    let endings: &[&str] = match language {
        Language::Node => &[".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"],
        Language::Python => &[".py", "/__init__.py"],
        Language::Golang => &[],
    };
    match handler {
        Handler::Export { path, .. } => endings.iter().map(|ending| format!("{path}{ending}")).collect(),
        Handler::File { path } => vec![path.clone()],
        Handler::Package { .. } => Vec::new(),
    }
}

/// A Go file of a directory, the first by name.
fn go_file(directory: &Path) -> Option<String> {
    let names = std::fs::read_dir(directory).ok()?.flatten().filter_map(|e| e.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".go") && !name.ends_with("_test.go")).min()
}

fn by_manifest(directory: &Path) -> Vec<(Language, String)> {
    let manifests = [
        (Language::Node, "package.json"),
        (Language::Python, "requirements.txt"),
        (Language::Python, "pyproject.toml"),
        (Language::Golang, "go.mod"),
    ];
    let mut found: Vec<(Language, String)> = Vec::new();
    for (language, file) in manifests {
        if directory.join(file).is_file() && !found.iter().any(|(known, _)| *known == language) {
            found.push((language, file.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_language_and_version() {
        let of =
            |name: &str| Runtime::parse(name).map(|r| (r.language, r.version)).map_err(|e| e.to_string());
        assert_eq!(of("node22"), Ok((Language::Node, Some("22".into()))));
        assert_eq!(of("python311"), Ok((Language::Python, Some("3.11".into()))));
        assert_eq!(of("python27"), Ok((Language::Python, Some("2.7".into()))));
        assert_eq!(of("python3"), Ok((Language::Python, None)));
        assert_eq!(of("node"), Ok((Language::Node, None)));
        assert_eq!(of("golang"), Ok((Language::Golang, None)));
        assert_eq!(of("go124"), Ok((Language::Golang, None)));
        for bad in ["cobol", "node2x", "", "22", "node-22"] {
            assert!(of(bad).is_err_and(|message| message.contains("node22")), "{bad}");
        }
    }

    fn detect(files: &[&str], handler: Option<&str>) -> Result<(Language, String), String> {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        Runtime::detect(directory.path(), handler)
            .map(|(r, file)| (r.language, file))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_handlers_file_tells_the_language() {
        assert_eq!(detect(&["handler.js", "go.mod"], None), Ok((Language::Node, "handler.js".into())));
        assert_eq!(
            detect(&["handler.py", "package.json"], None),
            Ok((Language::Python, "handler.py".into()))
        );
        assert_eq!(detect(&["main.go", "go.mod"], None), Ok((Language::Golang, "main.go".into())));
        let both = ["src/a.js", "src/a.py", "b.js"];
        assert_eq!(detect(&both, Some("b.run")), Ok((Language::Node, "b.js".into())));
        assert!(detect(&both, Some("src/a.run")).unwrap_err().contains("src/a.js and src/a.py"));
        assert_eq!(detect(&["cmd/x/main.go"], Some("cmd/x")), Ok((Language::Golang, "main.go".into())));
        assert_eq!(detect(&["index.js"], Some("index.js")), Ok((Language::Node, "index.js".into())));
    }

    #[test]
    fn without_the_handlers_file_a_manifest_tells_it() {
        assert_eq!(detect(&["package.json"], None), Ok((Language::Node, "package.json".into())));
        let python = ["requirements.txt", "pyproject.toml"];
        assert_eq!(detect(&python, Some("app.run")), Ok((Language::Python, "requirements.txt".into())));
        assert!(detect(&[], None).unwrap_err().contains("--handler"));
    }
}
