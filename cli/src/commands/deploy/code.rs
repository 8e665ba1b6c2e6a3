//! Which runtime and handler a directory has.

use std::path::Path;

use clap::Args;
use contract::runtime::{Handler, Language, Runtime};
use serde_json::{Map, Value};

use super::super::resource::said;
use crate::local::{runtime, usage};

/// What a directory without a word about it is deployed on.
const NEWEST: [(Language, Runtime); 3] = [
    (Language::Node, Runtime::Node22),
    (Language::Python, Runtime::Python311),
    (Language::Golang, Runtime::Golang),
];

/// Runtime and handler, as options.
#[derive(Debug, Args)]
pub(super) struct Code {
    /// Such as node22, python311 or golang [default: what the function has; of a new one, found out from the files].
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// path/file.function; for Go the directory of package main [default: what the function has; of a new one
    /// handler.handle, in Go .].
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,
}

impl Code {
    /// Runtime and handler: what was said, else what the function has, else what lies in the directory.
    pub(super) fn of(
        &self,
        directory: &Path,
        function: Option<&Value>,
    ) -> anyhow::Result<Map<String, Value>> {
        let has = |name: &str| Some(function?[name].as_str()?.to_owned());
        let handler = self.handler.clone().or_else(|| has("handler"));
        let (name, language) = match self.runtime.clone().or_else(|| has("runtime")) {
            Some(name) => (name.clone(), language_of(&name)?),
            None => detect(directory, handler.as_deref())?,
        };
        let text = handler.unwrap_or_else(|| language.default_handler().to_owned());
        let parsed = match Handler::parse(language, &text) {
            Ok(parsed) => parsed,
            Err(problem) => return usage(format!("--handler: {problem}")),
        };
        require(directory, language, &parsed, &text)?;
        Ok(said([("runtime", Some(name.into())), ("handler", Some(text.into()))]))
    }
}

/// The newest runtime of the language that the files are in.
fn detect(directory: &Path, handler: Option<&str>) -> anyhow::Result<(String, Language)> {
    let (found, file) = runtime::Runtime::detect(directory, handler)?;
    let newest = NEWEST.into_iter().find(|(language, _)| *language == found.language);
    let name = newest.map_or(found.name, |(_, runtime)| runtime.to_string());
    eprintln!("runtime {name}, because of {file}");
    Ok((name, found.language))
}

fn language_of(name: &str) -> anyhow::Result<Language> {
    match Runtime::from_name(name) {
        Some(runtime) => Ok(runtime.language()),
        None => usage(format!("--runtime: there is no {name:?}; there are {}", Runtime::names().join(", "))),
    }
}

/// The handler's file must be there: the likeliest mistake is told before anything is made.
fn require(directory: &Path, language: Language, handler: &Handler, text: &str) -> anyhow::Result<()> {
    if runtime::file_of(directory, language, handler).is_some() {
        return Ok(());
    }
    let looked_for = match handler {
        Handler::Package { path } if path == "." => "a Go file, such as main.go".to_owned(),
        Handler::Package { path } => format!("a Go file in {path}, such as {path}/main.go"),
        _ => runtime::files(language, handler).join(", "),
    };
    usage(format!(
        "the handler {text:?} is not in {}: looked for {looked_for}; name another one with --handler",
        directory.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str], runtime: Option<&str>, handler: Option<&str>) -> Result<(String, String), String> {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(directory.path().join(file), "").unwrap();
        }
        let code = Code { runtime: runtime.map(str::to_owned), handler: handler.map(str::to_owned) };
        let text = |body: &Map<String, Value>, name: &str| body[name].as_str().unwrap().to_owned();
        let body = code.of(directory.path(), None).map_err(|error| error.to_string())?;
        Ok((text(&body, "runtime"), text(&body, "handler")))
    }

    #[test]
    fn runtime_and_handler_are_what_was_said_else_what_lies_there() {
        let both = |runtime: &str, handler: &str| Ok((runtime.to_owned(), handler.to_owned()));
        assert_eq!(of(&["handler.mjs"], None, None), both("node22", "handler.handle"));
        assert_eq!(of(&["handler.py"], None, None), both("python311", "handler.handle"));
        assert_eq!(of(&["main.go", "go.mod"], None, None), both("golang", "."));
        assert_eq!(of(&["app.py"], Some("python3"), Some("app.run")), both("python3", "app.run"));
    }

    #[test]
    fn a_handler_that_is_not_there_is_refused_with_what_was_looked_for() {
        let error = of(&["index.js"], Some("node22"), None).unwrap_err();
        assert!(error.contains("handler.js, handler.mjs") && error.contains("--handler"), "{error}");
        let error = of(&["handler.js"], Some("golang"), None).unwrap_err();
        assert!(error.contains("main.go"), "{error}");
        let error = of(&["x.py"], Some("python3"), None).unwrap_err();
        assert!(error.contains("handler.py, handler/__init__.py"), "{error}");
        let error = of(&["x.py"], Some("cobol"), None).unwrap_err();
        assert!(error.contains("node22, node24") || error.contains("node22"), "{error}");
        assert!(of(&["x.py"], Some("python3"), Some("../x.y")).unwrap_err().contains(".."));
    }
}
