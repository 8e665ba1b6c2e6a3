//! A function as it is run here: what the API would know of it.

use std::path::PathBuf;
use std::time::Duration;

use contract::limits;
use contract::runtime::{Handler, Language};

use super::environment::Sources;
use super::runtime::Runtime;
use super::{identity, usage};

/// A function in a directory.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// `[A-Za-z0-9][A-Za-z0-9_-]*`.
    pub(crate) name: String,
    /// Absolute.
    pub(crate) directory: PathBuf,
    pub(crate) runtime: Runtime,
    /// The file that told the runtime, where nobody named it.
    pub(crate) detected: Option<String>,
    pub(crate) handler: String,
    pub(crate) environment: Sources,
    pub(crate) private: bool,
    pub(crate) timeout: Duration,
    /// Told to the handler; nothing limits it here.
    pub(crate) memory_mb: u32,
    pub(crate) max_concurrency: Option<u32>,
    /// Made up for this run.
    pub(crate) application_id: String,
}

/// What may be left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) runtime: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) environment: Sources,
    pub(crate) private: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) memory_mb: Option<u32>,
    pub(crate) max_concurrency: Option<u32>,
}

impl Function {
    /// Fills in what the wishes leave open, as the API does, and refuses what it would refuse.
    pub(crate) fn new(name: String, directory: PathBuf, wishes: Wishes) -> anyhow::Result<Self> {
        let (runtime, detected) = match &wishes.runtime {
            Some(name) => (Runtime::parse(name)?, None),
            None => {
                let (runtime, file) = Runtime::detect(&directory, wishes.handler.as_deref())?;
                (runtime, Some(file))
            }
        };
        let handler = wishes.handler.unwrap_or_else(|| runtime.language.default_handler().to_owned());
        if let Err(problem) = Handler::parse(runtime.language, &handler) {
            return usage(problem.to_string());
        }
        let default = Duration::from_millis(limits::DEFAULT_TIMEOUT_MS);
        Ok(Self {
            name,
            directory,
            runtime,
            detected,
            handler,
            environment: wishes.environment,
            private: wishes.private,
            timeout: wishes.timeout.unwrap_or(default),
            memory_mb: wishes.memory_mb.unwrap_or(limits::DEFAULT_MEMORY_MB),
            max_concurrency: wishes.max_concurrency,
            application_id: identity::new_id(),
        })
    }

    pub(crate) fn language(&self) -> Language {
        self.runtime.language
    }
}

/// A directory's name as the name of a function.
pub(crate) fn name_of(directory: &std::path::Path) -> String {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "function".to_owned() } else { name.chars().take(63).collect() }
}

/// The longest timeout that the API takes.
const LONGEST_MS: f64 = 900_000.0;

/// `1500` and `1500ms` are milliseconds, as everywhere in the API; `2s` and `1.5s` are seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (number, milliseconds) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1.0),
        (None, Some(number)) => (number, 1000.0),
        (None, None) => (text, 1.0),
    };
    let longest = LONGEST_MS;
    match number.trim().parse::<f64>().map(|number| number * milliseconds) {
        Ok(ms) if (1.0..=longest).contains(&ms) => Ok(Duration::from_millis(ms as u64)),
        _ => Err(format!("{text:?} is no time; write 1500, 1500ms or 2s, at most {longest} ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_unless_they_say_seconds() {
        assert_eq!(duration("1500"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        for bad in ["", "s", "0", "-1s", "soon", "901s", "inf", "NaN"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn directories_give_plain_names() {
        assert_eq!(name_of("/x/my app.v2".as_ref()), "my-app-v2");
        assert_eq!(name_of("/".as_ref()), "function");
        assert_eq!(name_of("/x/-é-".as_ref()), "function");
    }
}
