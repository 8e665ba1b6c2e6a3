//! The rules as data: `vectors/<topic>/<case>.json`, each run through the real workers of every language.
//!
//! `vectors/README.md` describes the form. A file is found by being there; each of its expectations is then
//! altered, and the altered one has to fail: the runner can tell.

mod answer;
mod case;
mod group;
mod languages;
mod matching;
mod request;
mod rules;
mod run;
mod source;
mod token;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use self::case::Vector;
use self::group::Group;

/// Groups that run at the same time. Most of what they do is waiting for an interpreter to start.
const AT_ONCE: usize = 3;

/// `ZIPSHIP_VECTORS=answer/` runs what begins so, and no more.
const ONLY: &str = "ZIPSHIP_VECTORS";
/// When set, the pairs that were skipped are printed, with their reasons.
const SKIPPED: &str = "ZIPSHIP_VECTORS_SKIPPED";

#[test]
fn every_vector_holds_in_every_language() {
    let only = std::env::var(ONLY).unwrap_or_default();
    let vectors: Vec<Vector> = case::all().into_iter().filter(|v| v.name.starts_with(&only)).collect();
    assert!(!vectors.is_empty(), "no vector begins with {only:?}");
    let (pairs, skipped) = group::pairs(&vectors);
    if std::env::var_os(SKIPPED).is_some() {
        skipped.iter().for_each(|skip| println!("skipped: {skip}"));
    }
    println!("{} vectors, {} pairs run, {} skipped", vectors.len(), pairs.len(), skipped.len());
    let groups = Mutex::new(VecDeque::from(group::of(pairs)));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(group) = next(&groups) {
                    let found = all_of(group);
                    failures.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn next(groups: &Mutex<VecDeque<Group>>) -> Option<Group> {
    groups.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// What is otherwise in a group.
fn all_of(group: Group) -> Vec<String> {
    let name = group.to_string();
    guarded(&name, || run::group(group))
}

/// A panic of the harness is told with the name of what was run.
fn guarded(name: &str, run: impl FnOnce() -> Vec<String>) -> Vec<String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        vec![format!("{name}: {}", text.unwrap_or_default())]
    })
}
