//! What starts the worker: the interpreter of the base, and our program.

use contract::environment::{WORKER_DIRECTORY, ZIPSHIP_LANGUAGE, ZIPSHIP_WORKER};
use contract::runtime::{Language, Runtime};
use oci::config::ContainerConfig;

use super::settings::DEFAULT_PATH;
use super::{ForeignBase, ForeignError};

/// The worker's command line as `ZIPSHIP_WORKER` has it; none for Go, whose handler is its own program.
pub(super) fn command(
    request: &ForeignBase<'_>,
    container: &ContainerConfig,
) -> Result<Option<String>, ForeignError> {
    let (runtime, language) = (request.runtime, request.runtime.language());
    let script = match language {
        Language::Golang => return Ok(None),
        Language::Node => "node/worker.js",
        Language::Python => "python/worker.py",
    };
    // A base that was made for another language says how that one starts.
    let said = container.env_value(ZIPSHIP_LANGUAGE).is_none_or(|said| said == language.name());
    let own = container.env_value(ZIPSHIP_WORKER).filter(|_| said);
    if let (None, Some(own)) = (request.interpreter, own) {
        let words = serde_json::from_str::<Vec<String>>(own).ok().filter(|words| !words.is_empty());
        return match words {
            Some(_) => Ok(Some(own.to_owned())),
            None => Err(ForeignError::Worker(own.to_owned())),
        };
    }
    let names: Vec<String> = match request.interpreter {
        Some(named) => vec![named.to_owned()],
        None => usual(runtime),
    };
    let path = container.env_value("PATH").filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH);
    let interpreter = match request.files {
        // Found when it starts, on the base's PATH.
        None => names.first().cloned(),
        Some(files) => names.iter().find_map(|name| files.program(name, path)),
    };
    let missing = || ForeignError::NoInterpreter {
        runtime: runtime.base().to_owned(),
        looked_for: names.clone(),
        path: path.to_owned(),
    };
    let mut words = vec![interpreter.ok_or_else(missing)?];
    words.extend((language == Language::Python).then(|| "-u".to_owned()));
    words.push(format!("{WORKER_DIRECTORY}/{script}"));
    Ok(Some(serde_json::Value::from(words).to_string()))
}

/// Names under which images have a runtime's interpreter, the first being the one that most have.
fn usual(runtime: Runtime) -> Vec<String> {
    let line = runtime.line();
    match runtime.language() {
        Language::Node => vec!["node".to_owned(), "nodejs".to_owned()],
        Language::Python => {
            let major = line.split('.').next().unwrap_or_default();
            vec![format!("python{major}"), format!("python{line}"), "python".to_owned()]
        }
        Language::Golang => Vec::new(),
    }
}
