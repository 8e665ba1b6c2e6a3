//! Cases that one shim can serve: the same language, settings, listener and kind of function.

use std::collections::BTreeMap;
use std::fmt;

use super::case::{Access, Case, Listen, Style, Vector};
use super::languages::{Runtime, parse};
use super::source::{self, Body};
use super::token;

/// A case in a language.
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) runtime: Runtime,
    pub(super) case: Case,
}

pub(super) struct Group {
    pub(super) runtime: Runtime,
    pub(super) pairs: Vec<Pair>,
}

/// A pair that is not run.
pub(super) struct Skip {
    pub(super) name: String,
    pub(super) runtime: String,
    reason: String,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: {}", self.name, self.runtime, self.reason)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} more in {}", self.pairs[0].name, self.pairs.len() - 1, self.runtime.name())
    }
}

/// Every pair of a vector and a language: those that run, and those that are skipped.
pub(super) fn pairs(vectors: &[Vector]) -> (Vec<Pair>, Vec<Skip>) {
    let (mut pairs, mut skipped) = (Vec::new(), Vec::new());
    for vector in vectors {
        assert!(vector.plain().rule.ends_with('.'), "{}: its rule is a sentence", vector.name);
        for selector in vector.selectors() {
            assert!(parse(&selector).is_some(), "{}: {selector:?} selects no language", vector.name);
        }
        for runtime in Runtime::all() {
            let case = vector.case(|selector| runtime.is(selector));
            let name = vector.name.clone();
            let reason = case.skipped.iter().find(|(selector, _)| runtime.is(selector));
            if let Some((_, reason)) = reason {
                assert!(reason.len() > 5, "{name}: no reason");
                skipped.push(Skip { name, runtime: runtime.name(), reason: reason.clone() });
                continue;
            }
            let has_one = case.files.contains_key(runtime.key())
                || (case.files.is_empty() && source::body(&case, runtime.key()).is_some());
            assert!(has_one, "{name}: {} has neither a handler nor a reason to have none", runtime.name());
            pairs.push(Pair { name, runtime, case });
        }
    }
    (pairs, skipped)
}

/// Those that one shim can serve, together.
pub(super) fn of(pairs: Vec<Pair>) -> Vec<Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for pair in pairs {
        let key =
            (pair.runtime.name(), pair.alone(), pair.case.settings(), pair.case.listen, pair.case.style);
        let group = groups.entry(key).or_insert_with(|| Group { runtime: pair.runtime, pairs: Vec::new() });
        group.pairs.push(pair);
    }
    groups.into_values().collect()
}

impl Pair {
    /// Its name, when no other case may share its shim.
    fn alone(&self) -> Option<String> {
        let case = &self.case;
        (case.alone || case.start.is_some() || !case.files.is_empty()).then(|| self.name.clone())
    }

    pub(super) fn body(&self) -> Option<Body> {
        source::body(&self.case, self.runtime.key())
    }
}

impl Case {
    /// What is set (or unset) beside the harness's own.
    pub(super) fn settings(&self) -> BTreeMap<String, Option<String>> {
        let mut settings = BTreeMap::new();
        if self.access == Access::Private {
            let known = [
                ("SCW_PUBLIC_KEY", token::PUBLIC_KEY),
                ("SCW_NAMESPACE_ID", token::NAMESPACE),
                ("SCW_APPLICATION_ID", token::APPLICATION),
            ];
            settings.extend(known.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
            settings.insert("SCW_PUBLIC".into(), None);
        }
        let given = self.environment.iter();
        settings.extend(given.map(|(name, value)| (name.clone(), value.as_deref().map(token::with_keys))));
        settings
    }
}

impl Group {
    pub(super) fn listen(&self) -> Listen {
        self.pairs[0].case.listen
    }

    pub(super) fn style(&self) -> Style {
        self.pairs[0].case.style
    }
}
