//! `docs/runtime-rules.md`: each rule is proved by vectors and tests that exist, and each vector proves a rule.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::case::{self, Vector};

#[path = "../../../../tests/named.rs"]
mod named;

/// When set, the counts in the document are written anew.
const WRITE: &str = "ZIPSHIP_WRITE_RULES";
const COUNTS: &str = "<!-- counted -->\n";
/// Columns of the counts.
const LANGUAGES: [&str; 4] = ["node", "python", "golang.http", "golang.lambda"];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}

fn document() -> PathBuf {
    workspace().join("docs/runtime-rules.md")
}

/// The rows of the tables: a rule, and the names that prove it.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let rules = text.split(COUNTS).next().unwrap_or_default();
    let lines = rules.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule"));
    lines
        .map(|line| {
            let (rule, proofs) = line.trim_matches(['|', ' ']).rsplit_once(" | ").expect("two cells");
            let names = proofs.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (rule.to_owned(), names)
        })
        .collect()
}

/// Whether a name of the document, which may end in `*`, means a vector.
fn means(name: &str, vector: &str) -> bool {
    name.strip_suffix('*').map_or(name == vector, |start| vector.starts_with(start))
}

/// What does not hold between a document and the names of the vectors and tests that there are.
fn problems(text: &str, vectors: &[&str], tests: &[String]) -> Vec<String> {
    let rows = rows(text);
    let mut problems = Vec::new();
    for (rule, names) in &rows {
        if names.is_empty() {
            problems.push(format!("nothing proves: {rule}"));
        }
        let exists = |name: &String| match name.contains('/') {
            true => vectors.iter().any(|vector| means(name, vector)),
            false => tests.contains(name),
        };
        let missing = names.iter().filter(|name| !exists(name));
        problems.extend(missing.map(|name| format!("{name} does not exist; it proves: {rule}")));
    }
    let named = |vector: &str| rows.iter().any(|(_, names)| names.iter().any(|name| means(name, vector)));
    let unnamed = vectors.iter().filter(|vector| !named(vector));
    problems.extend(unnamed.map(|vector| format!("no rule of docs/runtime-rules.md names {vector}")));
    problems
}

#[test]
fn every_rule_is_proved_and_every_vector_proves_one() {
    let text = std::fs::read_to_string(document()).expect("docs/runtime-rules.md");
    let vectors = case::all();
    let names: Vec<&str> = vectors.iter().map(|vector| &*vector.name).collect();
    assert!(rows(&text).len() > 80, "{} rows were found", rows(&text).len());
    let problems = problems(&text, &names, &named::tests(workspace()));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_document_that_does_not_hold_is_told() {
    let tests = named::functions("#[test]\nfn a_promise() {}\nfn no_test() {}\n");
    assert_eq!(tests, ["a_promise"]);
    let vectors = ["topic/one", "topic/two"];
    let whole = "| rule | proved by |\n|---|---|\n| A. | `topic/*` `a_promise` |\n";
    assert_eq!(problems(whole, &vectors, &tests), Vec::<String>::new());
    for (other, problem) in [
        ("| A. | nothing at all |\n", "nothing proves: A."),
        ("| A. | `topic/three` |\n", "topic/three does not exist"),
        ("| A. | `no_test` |\n", "no_test does not exist"),
        ("| A. | `topic/one` |\n", "names topic/two"),
    ] {
        let found = problems(other, &vectors, &tests).join("\n");
        assert!(found.contains(problem), "{other}: {found}");
    }
}

#[test]
fn the_document_counts_what_there_is() {
    let text = std::fs::read_to_string(document()).expect("docs/runtime-rules.md");
    let before = text.split(COUNTS).next().expect("a part").to_owned();
    let counted = before + COUNTS + &counts(&case::all());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(document(), counted).expect("written");
    } else {
        assert!(counted == text, "the counts are old: run the tests once with {WRITE}=1");
    }
}

/// A row for each topic: vectors, and how many of them each language runs.
fn counts(vectors: &[Vector]) -> String {
    let mut topics: BTreeMap<&str, Vec<&Vector>> = BTreeMap::new();
    for vector in vectors {
        topics.entry(vector.name.split('/').next().unwrap_or_default()).or_default().push(vector);
    }
    let mut out = "\n| topic | vectors | node | python | Go, HTTP form | Go, Lambda form |\n".to_owned();
    out.push_str("|---|---|---|---|---|---|\n");
    for (topic, vectors) in topics.iter().map(|(topic, vectors)| (*topic, vectors.as_slice())) {
        write!(out, "| {topic} | {} |", vectors.len()).expect("text");
        for language in LANGUAGES {
            write!(out, " {} |", count(vectors, language)).expect("text");
        }
        out.push('\n');
    }
    out
}

/// How many run; in brackets how many of them not in every version.
fn count(vectors: &[&Vector], language: &str) -> String {
    let family = language.split('.').next().unwrap_or_default();
    let (mut run, mut partly) = (0, 0);
    for vector in vectors {
        let skipped = vector.plain().skipped;
        let wholly = skipped.contains_key(language) || skipped.contains_key(family);
        run += usize::from(!wholly);
        partly += usize::from(
            !wholly
                && skipped
                    .keys()
                    .any(|s| s.starts_with(&format!("{family}<")) || s.starts_with(&format!("{family}>"))),
        );
    }
    if partly == 0 { run.to_string() } else { format!("{run} ({partly} not in every version)") }
}
