//! Runtimes, their names and aliases, and the syntax of handlers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The language family: which worker serves the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// JavaScript on node.
    Node,
    /// Python.
    Python,
    /// Go, compiled at deploy time.
    Golang,
}

impl Language {
    /// Invocations at once in one instance, where the user does not say otherwise. A Go program that speaks the
    /// Lambda Runtime API takes one at a time all the same.
    #[must_use]
    pub fn default_concurrency(self) -> u32 {
        match self {
            Self::Node | Self::Golang => 100,
            Self::Python => 8,
        }
    }

    /// The handler of a function that names none.
    #[must_use]
    pub fn default_handler(self) -> &'static str {
        match self {
            Self::Node | Self::Python => "handler.handle",
            Self::Golang => ".",
        }
    }

    /// The name in `ZIPSHIP_LANGUAGE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Golang => "golang",
        }
    }
}

/// A runtime that functions can be deployed on: one base image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Go of the pinned line.
    Golang,
    /// Node 8.
    Node8,
    /// Node 10.
    Node10,
    /// Node 12.
    Node12,
    /// Node 14.
    Node14,
    /// Node 16.
    Node16,
    /// Node 18.
    Node18,
    /// Node 20.
    Node20,
    /// Node 22.
    Node22,
    /// Node 24.
    Node24,
    /// Python 2.7: the document's `python`, also called `python2`.
    Python27,
    /// Python 3.9.
    Python39,
    /// Python 3.11, also called `python3`.
    Python311,
    /// Python 3.13.
    Python313,
}

/// Other names that the API accepts.
const ALIASES: [(&str, Runtime); 2] = [("python2", Runtime::Python27), ("python3", Runtime::Python311)];

impl Runtime {
    /// Every runtime.
    pub const ALL: [Self; 14] = [
        Self::Golang,
        Self::Node8,
        Self::Node10,
        Self::Node12,
        Self::Node14,
        Self::Node16,
        Self::Node18,
        Self::Node20,
        Self::Node22,
        Self::Node24,
        Self::Python27,
        Self::Python39,
        Self::Python311,
        Self::Python313,
    ];
    /// The runtime of a function that names none (the document's default).
    pub const DEFAULT: Self = Self::Golang;

    /// Every name that the API accepts, aliases included: by language, old before new.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        let aliases_of =
            |runtime| ALIASES.into_iter().filter(move |(_, of)| *of == runtime).map(|(name, _)| name);
        Self::ALL.into_iter().flat_map(|runtime| aliases_of(runtime).chain([runtime.base()])).collect()
    }

    /// The runtime of a name or alias.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let alias = ALIASES.into_iter().find(|(alias, _)| *alias == name).map(|(_, runtime)| runtime);
        alias.or_else(|| Self::ALL.into_iter().find(|runtime| runtime.base() == name))
    }

    /// Folder of the recipe in `images/`, and repository of the base in the registry.
    #[must_use]
    pub fn base(self) -> &'static str {
        match self {
            Self::Golang => "golang",
            Self::Node8 => "node8",
            Self::Node10 => "node10",
            Self::Node12 => "node12",
            Self::Node14 => "node14",
            Self::Node16 => "node16",
            Self::Node18 => "node18",
            Self::Node20 => "node20",
            Self::Node22 => "node22",
            Self::Node24 => "node24",
            Self::Python27 => "python",
            Self::Python39 => "python39",
            Self::Python311 => "python311",
            Self::Python313 => "python313",
        }
    }

    /// The line of its interpreter's versions, `22` or `3.13`; empty for Go.
    #[must_use]
    pub fn line(self) -> String {
        match (self, self.base()) {
            (Self::Golang, _) => String::new(),
            (Self::Python27, _) => "2.7".to_owned(),
            (_, name) => match name.strip_prefix("python3") {
                Some(minor) => format!("3.{minor}"),
                None => name.trim_start_matches("node").to_owned(),
            },
        }
    }

    /// Its language.
    #[must_use]
    pub fn language(self) -> Language {
        match self {
            Self::Golang => Language::Golang,
            Self::Node8
            | Self::Node10
            | Self::Node12
            | Self::Node14
            | Self::Node16
            | Self::Node18
            | Self::Node20
            | Self::Node22
            | Self::Node24 => Language::Node,
            Self::Python27 | Self::Python39 | Self::Python311 | Self::Python313 => Language::Python,
        }
    }
}

/// Endings of a node handler's file, in the order in which they are looked for. Node takes TypeScript from 22.18 on.
pub const NODE_ENDINGS: [&str; 6] = [".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"];

/// A handler string, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// Node and Python: a file without its ending, relative to the code directory, and what it exports.
    Export {
        /// `src/handler`
        path: String,
        /// `myHandler`
        export: String,
    },
    /// Node: a string that names a file, `build/handler.js`; the export is found at import.
    File {
        /// `build/handler.js`
        path: String,
    },
    /// Go: the directory of `package main`, `.` for the root.
    Package {
        /// `handlers/hello`
        path: String,
    },
}

/// Why a handler string is refused. `Display` is the sentence a user reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// Nothing there.
    #[error("the handler is empty; write for example {0:?}")]
    Empty(&'static str),
    /// `..`, an absolute path, or a control character.
    #[error(
        "the handler {0:?} leaves the archive: '..', a leading '/', '\\' and control characters are refused"
    )]
    Escapes(String),
    /// No dot, or nothing on one side of it.
    #[error(
        "the handler {0:?} has no function name; write path/file.function, for example \"handler.handle\""
    )]
    NoExport(String),
}

impl Handler {
    /// Takes a handler string apart, as its language reads it. `./` in front is dropped.
    ///
    /// # Errors
    /// [`HandlerError`], with the string in it.
    pub fn parse(language: Language, text: &str) -> Result<Self, HandlerError> {
        if text.is_empty() {
            return Err(HandlerError::Empty(language.default_handler()));
        }
        let escapes = text.starts_with('/')
            || text.split('/').any(|component| component == "..")
            || text.chars().any(|c| c.is_control() || c == '\\');
        if escapes {
            return Err(HandlerError::Escapes(text.to_owned()));
        }
        if language == Language::Golang {
            let path = text.trim_end_matches('/');
            let path = path.strip_prefix("./").unwrap_or(path);
            return Ok(Self::Package { path: if path.is_empty() { ".".into() } else { path.into() } });
        }
        let text = text.strip_prefix("./").unwrap_or(text);
        if language == Language::Node && NODE_ENDINGS.iter().any(|end| text.ends_with(end)) {
            return Ok(Self::File { path: text.to_owned() });
        }
        let no_export = || HandlerError::NoExport(text.to_owned());
        let (path, export) = text.rsplit_once('.').ok_or_else(no_export)?;
        let file = path.rsplit('/').next().unwrap_or_default();
        if file.is_empty() || export.is_empty() || export.contains('/') {
            return Err(no_export());
        }
        Ok(Self::Export { path: path.to_owned(), export: export.to_owned() })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(path: &str, export: &str) -> Result<Handler, HandlerError> {
        Ok(Handler::Export { path: path.into(), export: export.into() })
    }

    #[test]
    fn handlers_read_as_the_document_writes_them() {
        use Language::{Golang, Node, Python};
        assert_eq!(Handler::parse(Node, "handler.myHandler"), export("handler", "myHandler"));
        assert_eq!(
            Handler::parse(Node, "src/handlers/hello.sayHello"),
            export("src/handlers/hello", "sayHello")
        );
        assert_eq!(Handler::parse(Python, "src/handler.my_handler"), export("src/handler", "my_handler"));
        assert_eq!(
            Handler::parse(Node, "build/handler.js"),
            Ok(Handler::File { path: "build/handler.js".into() })
        );
        assert_eq!(
            Handler::parse(Node, "src/handler.ts"),
            Ok(Handler::File { path: "src/handler.ts".into() })
        );
        assert_eq!(Handler::parse(Golang, "."), Ok(Handler::Package { path: ".".into() }));
        assert_eq!(Handler::parse(Golang, "./"), Ok(Handler::Package { path: ".".into() }));
        assert_eq!(
            Handler::parse(Golang, "handlers/hello/"),
            Ok(Handler::Package { path: "handlers/hello".into() })
        );
        assert_eq!(Handler::parse(Python, "./a.b.c"), export("a.b", "c"));
    }

    #[test]
    fn handlers_that_leave_the_archive_or_name_no_function_are_refused() {
        for bad in ["../x.y", "a/../b.c", "/etc/x.y", "a\\b.c", "a\n.b"] {
            assert!(matches!(Handler::parse(Language::Node, bad), Err(HandlerError::Escapes(_))), "{bad:?}");
        }
        for bad in ["handler", "handler.", ".handle", "src/.handle", "a.b/c"] {
            assert!(
                matches!(Handler::parse(Language::Python, bad), Err(HandlerError::NoExport(_))),
                "{bad:?}"
            );
        }
        assert!(matches!(Handler::parse(Language::Golang, ""), Err(HandlerError::Empty("."))));
    }

    #[test]
    fn every_name_leads_to_a_runtime() {
        for name in Runtime::names() {
            assert!(Runtime::from_name(name).is_some(), "{name}");
        }
        for runtime in Runtime::ALL {
            assert_eq!(Runtime::from_name(runtime.base()), Some(runtime));
        }
        assert_eq!(Runtime::from_name("node99"), None);
    }
}
