//! `serverless.yml` as the platform's plugin reads it, as far as a local run needs it: which functions there are,
//! with their handler, runtime, variables, privacy and limits.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

use super::function::duration;
use super::usage;

/// What the file may be called.
pub(super) const NAMES: [&str; 2] = ["serverless.yml", "serverless.yaml"];

/// One entry of `functions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) handler: String,
    pub(crate) runtime: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) private: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) memory_mb: Option<u32>,
    pub(crate) max_concurrency: Option<u32>,
}

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) functions: Vec<Declared>,
    pub(crate) warnings: Vec<String>,
}

/// Reads a directory's file; `None` where there is none, or one for another provider.
pub(crate) fn read(directory: &Path) -> anyhow::Result<Option<File>> {
    let Some(name) = NAMES.into_iter().find(|name| directory.join(name).is_file()) else { return Ok(None) };
    let wrong = |problem: String| usage(format!("{}: {problem}", directory.join(name).display()));
    let text = match std::fs::read_to_string(directory.join(name)) {
        Ok(text) => text,
        Err(error) => return wrong(error.to_string()),
    };
    match parse(&text, |name| std::env::var(name).ok()) {
        Ok(file) => Ok(file),
        Err(problem) => wrong(problem),
    }
}

fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Option<File>, String> {
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    let Some(root) = documents.first() else { return Ok(None) };
    let provider = &root["provider"];
    // `provider: scaleway` is the short form of the same.
    if provider["name"].as_str().or(provider.as_str()) != Some("scaleway") {
        return Ok(None);
    }
    let mut reader = Reader { variable, warnings: Vec::new() };
    let shared = reader.environment(provider, "provider")?;
    let mut functions = Vec::new();
    let none = Hash::new();
    for (name, declared) in root["functions"].as_hash().unwrap_or(&none) {
        let name = name.as_str().ok_or("a function's name is no text")?;
        functions.push(reader.function(name, declared, provider, &shared)?);
    }
    Ok(Some(File { functions, warnings: reader.warnings }))
}

struct Reader<F> {
    variable: F,
    warnings: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn function(
        &mut self,
        name: &str,
        declared: &Yaml,
        provider: &Yaml,
        shared: &BTreeMap<String, String>,
    ) -> Result<Declared, String> {
        if !is_name(name) {
            return Err(format!("functions.{name}: a name has letters, digits, - and _ only"));
        }
        let at = |key: &str| format!("functions.{name}.{key}");
        let handler = self.text(&declared["handler"], &at("handler"));
        let mut environment = shared.clone();
        environment.extend(self.environment(declared, &format!("functions.{name}"))?);
        let private = match declared["privacy"].as_str() {
            Some("private") => true,
            Some("public") | None => false,
            Some(other) => return Err(format!("{} is {other:?}; it is public or private", at("privacy"))),
        };
        let timeout = self.text(&declared["timeout"], &at("timeout"));
        let timeout = timeout.map(|text| duration(&text)).transpose();
        Ok(Declared {
            name: name.to_owned(),
            handler: handler.ok_or_else(|| format!("{} is missing", at("handler")))?,
            runtime: self
                .text(&declared["runtime"], &at("runtime"))
                .or_else(|| self.text(&provider["runtime"], "provider.runtime")),
            environment,
            private,
            timeout: timeout.map_err(|problem| format!("{}: {problem}", at("timeout")))?,
            memory_mb: number(&declared["memoryLimit"], &at("memoryLimit"))?,
            max_concurrency: number(&declared["maxConcurrency"], &at("maxConcurrency"))?,
        })
    }

    /// `env` and `secret` alike: both are variables when the function runs.
    fn environment(&mut self, of: &Yaml, at: &str) -> Result<BTreeMap<String, String>, String> {
        let mut all = BTreeMap::new();
        for key in ["env", "secret"] {
            let pairs = match &of[key] {
                Yaml::BadValue | Yaml::Null => continue,
                Yaml::Hash(pairs) => pairs,
                _ => return Err(format!("{at}.{key} is no list of NAME: value")),
            };
            for (name, value) in pairs {
                let name = name.as_str().ok_or_else(|| format!("{at}.{key}: a name is no text"))?;
                let value = self.text(value, &format!("{at}.{key}.{name}"));
                all.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
        Ok(all)
    }

    /// A scalar as text, its variables replaced; `None` when it is absent.
    fn text(&mut self, value: &Yaml, at: &str) -> Option<String> {
        let text = match value {
            Yaml::String(text) | Yaml::Real(text) => text.clone(),
            Yaml::Integer(number) => number.to_string(),
            Yaml::Boolean(truth) => truth.to_string(),
            _ => return None,
        };
        Some(self.replaced(&text, at))
    }

    /// Replaces `${env:NAME}` and `${env:NAME, 'default'}`. What else the framework would replace stays as it is, and
    /// is told.
    fn replaced(&mut self, text: &str, at: &str) -> String {
        let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
        let Some((inside, after)) = rest.split_once('}') else { return text.to_owned() };
        let (name, default) = match inside.split_once(',') {
            Some((name, default)) => (name, Some(default.trim().trim_matches(['\'', '"']).to_owned())),
            None => (inside, None),
        };
        let value = name.trim().strip_prefix("env:").map(|name| (self.variable)(name.trim()).or(default));
        let value = match value {
            Some(Some(value)) => value,
            _ => {
                self.warnings.push(format!("{at}: ${{{inside}}} is not known here and stays as it is"));
                format!("${{{inside}}}")
            }
        };
        format!("{before}{value}{}", self.replaced(after, at))
    }
}

fn number(value: &Yaml, at: &str) -> Result<Option<u32>, String> {
    match value {
        Yaml::BadValue | Yaml::Null => Ok(None),
        Yaml::Integer(number) => {
            let number = u32::try_from(*number).ok().filter(|number| *number > 0);
            number.map(Some).ok_or_else(|| format!("{at} is out of range"))
        }
        _ => Err(format!("{at} is no number")),
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&name.len()) && name.bytes().all(plain) && name.as_bytes()[0].is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r"
service: shop
provider:
  name: scaleway
  runtime: node22
  env: { STAGE: dev, LEVEL: 3 }
functions:
  orders:
    handler: src/orders.handle
    env:
      STAGE: ${env:STAGE, 'local'}
      HOST: http://${env:HOST_NAME}:${self:custom.port}/
    secret: { KEY: yes please }
  report:
    handler: report.handle
    runtime: python311
    privacy: private
    timeout: 20s
    memoryLimit: 512
    maxConcurrency: 2
    events: [{ schedule: { rate: '* * * * *' } }]
";

    fn read_with(text: &str) -> Result<Option<File>, String> {
        parse(text, |name| (name == "HOST_NAME").then(|| "example.org".to_owned()))
    }

    #[test]
    fn functions_are_read_with_what_the_provider_says_for_all() {
        let file = read_with(FILE).unwrap().unwrap();
        let [orders, report] = file.functions.as_slice() else { panic!("{file:?}") };
        assert_eq!(
            (orders.handler.as_str(), orders.runtime.as_deref()),
            ("src/orders.handle", Some("node22"))
        );
        let environment: Vec<_> = orders.environment.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let host = ("HOST", "http://example.org:${self:custom.port}/");
        assert_eq!(environment, [host, ("KEY", "yes please"), ("LEVEL", "3"), ("STAGE", "local")]);
        assert_eq!(
            file.warnings,
            ["functions.orders.env.HOST: ${self:custom.port} is not known here and stays as it is"]
        );
        assert_eq!((report.runtime.as_deref(), report.private), (Some("python311"), true));
        assert_eq!(report.timeout, Some(Duration::from_secs(20)));
        assert_eq!((report.memory_mb, report.max_concurrency), (Some(512), Some(2)));
        assert_eq!(report.environment["STAGE"], "dev");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let function = |lines: &str| format!("provider: scaleway\nfunctions:\n  a:\n{lines}");
        for (text, said) in [
            (function("    runtime: node22\n"), "functions.a.handler is missing"),
            (function("    handler: a.b\n    privacy: secret\n"), "functions.a.privacy"),
            (function("    handler: a.b\n    timeout: soon\n"), "functions.a.timeout"),
            (function("    handler: a.b\n    memoryLimit: much\n"), "functions.a.memoryLimit"),
            (function("    handler: a.b\n    env: [x]\n"), "functions.a.env"),
            ("provider: scaleway\nfunctions:\n  a/b: { handler: x.y }\n".to_owned(), "functions.a/b"),
            ("a: [".to_owned(), "line"),
        ] {
            let problem = read_with(&text).unwrap_err();
            assert!(problem.contains(said), "{text:?}: {problem}");
        }
    }

    #[test]
    fn another_providers_file_is_none_of_ours() {
        assert!(read_with("provider:\n  name: aws\nfunctions:\n  a: { handler: a.b }\n").unwrap().is_none());
        assert!(read_with("").unwrap().is_none());
        assert!(read_with("provider: scaleway\n").unwrap().unwrap().functions.is_empty());
    }
}
