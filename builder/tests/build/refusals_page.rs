//! `docs/archives.md` says what is refused: it lists every reason there is, every limit with its default, and nothing
//! else; and every reason is proved by an archive.

use std::collections::BTreeSet;

use builder::zip::{ArchiveLimits, LIMITS};

use crate::cases::hostile;

const PAGE: &str = include_str!("../../../docs/archives.md");
const CODES: &str = include_str!("../../src/zip/code.rs");

/// Every `zip.name` in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    text.split(|c| !is_name(c)).filter(|word| word.starts_with("zip.") && word.len() > 4).collect()
}

#[test]
fn the_page_lists_every_reason() {
    let rows: BTreeSet<&str> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `zip.")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let codes: BTreeSet<&str> =
        names(CODES).into_iter().filter_map(|name| name.strip_prefix("zip.")).collect();
    assert!(codes.len() > 40, "{codes:?}");
    assert_eq!(rows, codes);
}

#[test]
fn every_reason_has_an_archive() {
    // These are proved by small limits (rule 3), on archives that would pass otherwise.
    let by_limits = [
        "zip.archive_size",
        "zip.entries",
        "zip.unpacked_size",
        "zip.file_size",
        "zip.ratio",
        "zip.file_ratio",
        "zip.path_length",
        "zip.depth",
        "zip.names_length",
        "zip.decode_time",
    ];
    let mut proved: BTreeSet<&str> = hostile().iter().map(|case| case.code).collect();
    proved.extend(by_limits);
    assert_eq!(proved, names(CODES));
}

#[test]
fn the_page_lists_every_limit_with_its_default() {
    for limit in LIMITS {
        let default = limit.of(&ArchiveLimits::default());
        let row = format!("| `{}` | {} | {default} |", limit.name, limit.about);
        assert!(PAGE.contains(&row), "docs/archives.md lacks: {row}");
    }
}
