//! Configuration: the environment and the control document become one [`Config`]; all problems are told together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use contract::environment as name;
use contract::runtime::Language;

use crate::init::logs::Level;
use crate::request::forwarded::Network;
use crate::request::token::key::Keys;

/// The largest wait or limit in milliseconds that is taken as given; more is a typing error.
const LONGEST_MS: u64 = 24 * 3600 * 1000;

/// Where requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A port of all interfaces, which the shim binds itself.
    Port(u16),
    /// A listening socket that the parent made. A gateway stands before it.
    Inherited(i32),
}

impl Listen {
    pub(crate) fn is_inherited(self) -> bool {
        matches!(self, Self::Inherited(_))
    }
}

/// Who may call.
#[derive(Debug)]
pub(crate) enum Access {
    Public,
    Private { keys: Keys, namespace_id: String, application_id: String },
}

/// What the handler's context says about the function.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) memory_mb: u32,
    pub(crate) handler: String,
}

/// Limits of one request. Bytes, except where the type says otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) headers: usize,
    pub(crate) payload: usize,
    pub(crate) timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: Listen,
    pub(crate) ready_fd: Option<i32>,
    pub(crate) log_fd: Option<i32>,
    pub(crate) log_level: Level,
    pub(crate) language: Language,
    /// Command line of the worker; for Go the compiled handler.
    pub(crate) command: Vec<String>,
    pub(crate) code_directory: PathBuf,
    pub(crate) function: Function,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) grace: Duration,
    /// `None`: the default of the runtime, or of the form that a Go handler turns out to speak.
    pub(crate) max_concurrency: Option<u32>,
    /// `None`: as many as may run at once.
    pub(crate) queue: Option<usize>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) upstream_port: u16,
    pub(crate) metrics_port: Option<u16>,
    /// What the worker process gets: everything but `ZIPSHIP_*`.
    pub(crate) worker_environment: BTreeMap<String, String>,
}

/// Every reason why the shim does not start, one a line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", .0.join("\n"))]
pub(crate) struct ConfigErrors(pub(crate) Vec<String>);

/// Code directory when the image has none of its own (tests and local runs set it by `--code`).
pub(crate) struct Defaults {
    pub(crate) code_directory: PathBuf,
    pub(crate) go_handler: PathBuf,
}

impl Config {
    /// Reads a whole environment.
    pub(crate) fn from_environment(
        environment: &BTreeMap<String, String>,
        defaults: Defaults,
    ) -> Result<Self, ConfigErrors> {
        let mut read = Reader { environment, problems: Vec::new() };
        let language = read.language();
        let command = read.command(language, &defaults);
        let listen = match read.number::<i32>(name::ZIPSHIP_LISTEN_FD) {
            Some(descriptor) => Listen::Inherited(descriptor),
            None => Listen::Port(read.number(name::PORT).unwrap_or(name::DEFAULT_PORT)),
        };
        let max_concurrency = read.number::<u32>(name::SCW_MAX_CONCURRENCY);
        if max_concurrency == Some(0) {
            read.problems.push(format!("{} is 0; it is at least 1", name::SCW_MAX_CONCURRENCY));
        }
        let config = Self {
            listen,
            ready_fd: read.number(name::ZIPSHIP_READY_FD),
            log_fd: read.number(name::ZIPSHIP_LOG_FD),
            log_level: read.level(),
            language,
            command,
            function: read.function(language),
            access: read.access(),
            limits: read.limits(),
            grace: read.milliseconds(name::SCW_GRACE_MS, 10_000),
            max_concurrency,
            queue: read.number(name::SCW_QUEUE_SIZE).or(listen.is_inherited().then_some(0)),
            trusted_proxies: read.networks(),
            upstream_port: read.number(name::SCW_UPSTREAM_PORT).unwrap_or(name::DEFAULT_UPSTREAM_PORT),
            code_directory: defaults.code_directory,
            worker_environment: worker_environment(environment),
            metrics_port: read.metrics_port(listen),
        };
        if read.problems.is_empty() { Ok(config) } else { Err(ConfigErrors(read.problems)) }
    }
}

fn worker_environment(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = |key: &str| key.starts_with("ZIPSHIP_");
    environment
        .iter()
        .filter(|(key, _)| !ours(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// The value of a variable; an empty one counts as unset.
    fn text(&self, key: &str) -> Option<&str> {
        self.environment.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn number<T: std::str::FromStr>(&mut self, key: &str) -> Option<T> {
        let parsed = self.text(key)?.trim().parse();
        if parsed.is_err() {
            let value = self.text(key).unwrap_or_default();
            self.problems.push(format!("{key} is {value:?}; it must be a whole number in range"));
        }
        parsed.ok()
    }

    fn milliseconds(&mut self, key: &str, default: u64) -> Duration {
        let value = self.number(key).unwrap_or(default);
        if value > LONGEST_MS {
            self.problems.push(format!("{key} is {value}; it is at most {LONGEST_MS} milliseconds"));
        }
        Duration::from_millis(value)
    }

    fn language(&mut self) -> Language {
        match self.text(name::ZIPSHIP_LANGUAGE) {
            Some("node") => Language::Node,
            Some("python") => Language::Python,
            Some("golang") => Language::Golang,
            other => {
                self.problems.push(format!(
                    "{} is {other:?}; it must be node, python or golang (the base image sets it)",
                    name::ZIPSHIP_LANGUAGE
                ));
                Language::Node
            }
        }
    }

    fn command(&mut self, language: Language, defaults: &Defaults) -> Vec<String> {
        if language == Language::Golang {
            return vec![defaults.go_handler.to_string_lossy().into_owned()];
        }
        let parsed = self.text(name::ZIPSHIP_WORKER).map(serde_json::from_str::<Vec<String>>);
        match parsed {
            Some(Ok(command)) if !command.is_empty() => command,
            _ => {
                self.problems.push(format!(
                    "{} must be a JSON array with the worker's command line (the base image sets it)",
                    name::ZIPSHIP_WORKER
                ));
                Vec::new()
            }
        }
    }

    fn function(&mut self, language: Language) -> Function {
        let text = |key: &str| self.text(key).unwrap_or_default().to_owned();
        Function {
            name: text(name::SCW_APPLICATION_NAME),
            version: text(name::SCW_APPLICATION_VERSION),
            handler: self.text(name::SCW_HANDLER).unwrap_or(language.default_handler()).to_owned(),
            memory_mb: self
                .number(name::SCW_APPLICATION_MEMORY)
                .unwrap_or(contract::limits::DEFAULT_MEMORY_MB),
        }
    }

    fn limits(&mut self) -> Limits {
        let timeout = self.milliseconds(name::SCW_TIMEOUT_MS, contract::limits::DEFAULT_TIMEOUT_MS);
        if timeout.is_zero() {
            self.problems.push(format!("{} is 0; it is at least 1", name::SCW_TIMEOUT_MS));
        }
        Limits {
            headers: self.number(name::SCW_HEADER_MAX_SIZE).unwrap_or(65_536),
            payload: self.number(name::SCW_PAYLOAD_MAX_SIZE).unwrap_or(6_291_456),
            timeout,
        }
    }

    fn access(&mut self) -> Access {
        if self.text(name::SCW_PUBLIC) == Some("true") {
            return Access::Public;
        }
        let hint = "a private function needs it; for a public one start with -e SCW_PUBLIC=true";
        let mut required = |key: &str| {
            let value = self.text(key).unwrap_or_default().to_owned();
            if value.is_empty() {
                self.problems.push(format!("{key} is missing: {hint}"));
            }
            value
        };
        let pem = required(name::SCW_PUBLIC_KEY);
        let namespace_id = required(name::SCW_NAMESPACE_ID);
        let application_id = required(name::SCW_APPLICATION_ID);
        match Keys::from_pem(&pem) {
            Ok(keys) => Access::Private { keys, namespace_id, application_id },
            Err(_) if pem.is_empty() => Access::Public, // never used: a problem was noted
            Err(error) => {
                self.problems.push(format!("{} is unreadable: {error}", name::SCW_PUBLIC_KEY));
                Access::Public // never used: a problem was noted
            }
        }
    }

    fn networks(&mut self) -> Vec<Network> {
        let text = self.text(name::SCW_TRUSTED_PROXIES).unwrap_or_default().to_owned();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut networks = Vec::new();
        for part in parts {
            match Network::parse(part) {
                Some(network) => networks.push(network),
                None => self.problems.push(format!(
                    "{}: {part:?} is no network, write for example 10.0.0.0/8",
                    name::SCW_TRUSTED_PROXIES
                )),
            }
        }
        networks
    }

    fn level(&mut self) -> Level {
        match self.text(name::SCW_LOG_LEVEL) {
            None | Some("info") => Level::Info,
            Some("debug") => Level::Debug,
            Some("warn") => Level::Warn,
            Some("error") => Level::Error,
            Some(other) => {
                let problem =
                    format!("{} is {other:?}; it is error, warn, info or debug", name::SCW_LOG_LEVEL);
                self.problems.push(problem);
                Level::Info
            }
        }
    }

    fn metrics_port(&mut self, listen: Listen) -> Option<u16> {
        let port = self.number(name::SCW_METRICS_PORT)?;
        if port == 0 || listen == Listen::Port(port) {
            let problem = format!("{} is {port}; it must be a port of its own", name::SCW_METRICS_PORT);
            self.problems.push(problem);
        }
        Some(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let environment = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let defaults = Defaults { code_directory: "/code".into(), go_handler: "/code/handler".into() };
        Config::from_environment(&environment, defaults)
    }

    const NODE: [(&str, &str); 2] = [("ZIPSHIP_LANGUAGE", "node"), ("ZIPSHIP_WORKER", "[\"node\",\"w.js\"]")];

    #[test]
    fn a_public_function_needs_nothing_but_its_base() {
        let config = read(&[&NODE[..], &[("SCW_PUBLIC", "true"), ("ZIPSHIP_X", "1"), ("A", "b")]].concat())
            .expect("configuration");
        assert_eq!(config.listen, Listen::Port(8080));
        assert_eq!(config.function.handler, "handler.handle");
        assert_eq!(config.limits.timeout, Duration::from_secs(300));
        assert_eq!(config.queue, None);
        assert_eq!(config.worker_environment.get("A").map(String::as_str), Some("b"));
        assert!(!config.worker_environment.keys().any(|key| key.starts_with("ZIPSHIP_")));
    }

    #[test]
    fn an_inherited_socket_means_no_queue() {
        let config =
            read(&[&NODE[..], &[("SCW_PUBLIC", "true"), ("ZIPSHIP_LISTEN_FD", "7")]].concat()).expect("ok");
        assert_eq!((config.listen, config.queue), (Listen::Inherited(7), Some(0)));
    }

    #[test]
    fn a_private_function_without_its_keys_names_each_and_the_way_out() {
        let ConfigErrors(problems) = read(&NODE).expect_err("refused");
        let text = problems.join("\n");
        for expected in ["SCW_PUBLIC_KEY", "SCW_NAMESPACE_ID", "SCW_APPLICATION_ID", "-e SCW_PUBLIC=true"] {
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn all_problems_are_told_together() {
        let ConfigErrors(problems) = read(&[
            ("SCW_PUBLIC", "true"),
            ("PORT", "99999"),
            ("SCW_MAX_CONCURRENCY", "0"),
            ("SCW_TRUSTED_PROXIES", "10.0.0.0/40"),
            ("SCW_TIMEOUT_MS", "soon"),
        ])
        .expect_err("refused");
        assert_eq!(problems.len(), 6, "{problems:?}");
    }
}
