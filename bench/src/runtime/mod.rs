//! `runtime.*`: the shim with its workers beside plain servers and other frameworks, on this machine, without
//! containers. Ours has its limits, its timeout, its log records and its metrics on.
//!
//! All who are compared run at the same time and are asked in turn, round after round, so that what else the
//! machine does meets all of them; a number is the median of its rounds.

mod body;
mod compare;
mod first;
mod latency;
mod load;
mod own;
mod places;
mod private;
mod process;
mod subjects;

use anyhow::Context;

use self::places::Places;
use self::subjects::Subject;
use crate::row::Row;

/// In the order in which they are measured.
pub(crate) const ROWS: &[&str] = &[
    "runtime.node.rps",
    "runtime.node.cpu",
    "runtime.node.first200",
    "runtime.node.added_p50",
    "runtime.python.rps",
    "runtime.python.cpu",
    "runtime.python.first200",
    "runtime.go.rps",
    "runtime.go.cpu",
    "runtime.go.first200",
    "runtime.body1m",
    "runtime.private",
    "runtime.timeout",
    "runtime.rss",
    "runtime.binary",
];

/// Who is compared.
type Group = for<'a> fn(&'a Places) -> Vec<Subject<'a>>;
/// What measures one row.
type One = fn(&Places) -> anyhow::Result<Vec<Row>>;

/// Measures the rows of these names: one a peer.
///
/// # Errors
/// When ours cannot be started or answers wrongly. A peer that does not is a row with a reason.
pub(crate) fn measure(names: &[&'static str]) -> anyhow::Result<Vec<Row>> {
    let places = Places::find()?;
    let wants = |name: &&str| names.contains(name);
    let mut rows = Vec::new();
    let languages: [(&str, Group); 3] =
        [("node", subjects::node), ("python", subjects::python), ("go", subjects::go)];
    for (language, group) in languages {
        let rates = [format!("runtime.{language}.rps"), format!("runtime.{language}.cpu")];
        if names.iter().any(|name| rates.iter().any(|rate| rate == name)) {
            eprintln!("measuring runtime.{language}.rps and runtime.{language}.cpu");
            rows.extend(load::measure(language, group(&places)).with_context(|| rates[0].clone())?);
        }
        let first = format!("runtime.{language}.first200");
        if names.iter().any(|name| *name == first) {
            eprintln!("measuring {first}");
            rows.extend(first::measure(language, group(&places)).context(first)?);
        }
    }
    let others: [(&str, One); 6] = [
        ("runtime.node.added_p50", latency::measure),
        ("runtime.body1m", body::measure),
        ("runtime.private", private::measure),
        ("runtime.timeout", own::timeout),
        ("runtime.rss", own::rss),
        ("runtime.binary", own::binary),
    ];
    for (name, one) in others.into_iter().filter(|(name, _)| wants(name)) {
        eprintln!("measuring {name}");
        rows.extend(one(&places).context(name)?);
    }
    rows.retain(|row| wants(&row.name));
    let place = |name: &str| ROWS.iter().position(|row| *row == name);
    rows.sort_by_key(|row| place(row.name));
    Ok(rows)
}

/// The row's name of a language and a measure.
fn name(language: &str, what: &str) -> &'static str {
    let is_it = |row: &&&str| row.strip_prefix("runtime.") == Some(&format!("{language}.{what}"));
    ROWS.iter().find(is_it).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_rates_and_its_start() {
        for language in ["node", "python", "go"] {
            for what in ["rps", "cpu", "first200"] {
                assert_eq!(name(language, what), format!("runtime.{language}.{what}"));
            }
        }
    }
}
