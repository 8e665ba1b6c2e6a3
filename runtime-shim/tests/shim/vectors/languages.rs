//! Which languages a selector means: `node`, `python<3`, `node>=22`, `golang`, `golang.lambda`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::harness::{Language, output};

/// A language in one version, as this machine has it.
#[derive(Clone, Copy)]
pub(super) struct Runtime {
    pub(super) language: Language,
    /// Major and minor; zeros for Go.
    version: (u32, u32),
}

impl Runtime {
    pub(super) fn all() -> Vec<Self> {
        let all = Language::framed().into_iter().chain([Language::GoHttp, Language::GoLambda]);
        all.map(|language| Self { language, version: version(language) }).collect()
    }

    pub(super) fn key(self) -> &'static str {
        self.language.key()
    }

    /// `node20`, `python3.11`, `golang.http`.
    pub(super) fn name(self) -> String {
        let (major, minor) = self.version;
        match self.language {
            Language::GoHttp => "golang.http".into(),
            Language::GoLambda => "golang.lambda".into(),
            _ if self.key() == "node" => format!("node{major}"),
            _ => format!("python{major}.{minor}"),
        }
    }

    pub(super) fn is(self, selector: &str) -> bool {
        let (name, bound) = parse(selector).unwrap_or_else(|| panic!("{selector:?} selects no language"));
        let named = name == self.key() || name == self.name();
        named
            && bound.is_none_or(|(operator, version)| match operator {
                '<' => self.version < version,
                _ => self.version >= version,
            })
    }
}

/// The name, and a bound: `<` or `>` (or the same), with the version.
type Selector<'a> = (&'a str, Option<(char, (u32, u32))>);

pub(super) fn parse(selector: &str) -> Option<Selector<'_>> {
    let (name, bound) = match selector.find(['<', '>']) {
        None => (selector, None),
        Some(at) => {
            let (name, rest) = selector.split_at(at);
            let digits = rest.strip_prefix('<').or_else(|| rest.strip_prefix(">="))?;
            (name, Some((rest.chars().next()?, numbers(digits)?)))
        }
    };
    let known = ["node", "python", "golang"].contains(&name);
    let form = bound.is_none() && ["golang.http", "golang.lambda"].contains(&name);
    ((known && !(name == "golang" && bound.is_some())) || form).then_some((name, bound))
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn version(language: Language) -> (u32, u32) {
    static KNOWN: Mutex<BTreeMap<PathBuf, (u32, u32)>> = Mutex::new(BTreeMap::new());
    if language.key() == "golang" {
        return (0, 0);
    }
    let interpreter = language.interpreter();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(interpreter.clone()).or_insert_with(|| {
        let said = output(Command::new(&interpreter).arg("--version"));
        let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        let digits = said.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut parts = digits.trim().split('.');
        let mut part = || parts.next().and_then(|part| part.parse().ok());
        part().zip(part()).unwrap_or_else(|| panic!("{interpreter:?} --version: {said:?}"))
    })
}

#[test]
fn selectors_are_read() {
    assert_eq!(parse("node"), Some(("node", None)));
    assert_eq!(parse("python<3"), Some(("python", Some(('<', (3, 0))))));
    assert_eq!(parse("node>=22.6"), Some(("node", Some(('>', (22, 6))))));
    for bad in ["ruby", "node>22", "node<", "golang<1", "node22"] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}
