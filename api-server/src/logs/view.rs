//! Which lines a query shows. Lines are numbered from 0 without a gap; their ids are these numbers. No I/O.

use std::ops::Range;

use contract::api::{LogOrder, Page};

/// The lines that a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The oldest line that is kept; all before it were removed.
    pub first: u64,
    /// The number of the next line.
    pub next: u64,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Order.
    pub order: LogOrder,
    /// Page of what is left by the two others.
    pub page: Page,
    /// Only lines before this one.
    pub before: Option<u64>,
    /// Only lines after this one.
    pub after: Option<u64>,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The lines of the page; turned around by `timestamp_desc`.
    pub lines: Range<u64>,
    /// Those of all pages.
    pub total: u64,
}

impl Extent {
    /// The oldest line there is to see: the notice of those that were removed, which has the number of the last of them.
    #[must_use]
    pub fn lowest(&self) -> u64 {
        self.first.saturating_sub(1)
    }

    /// The page of a query.
    #[must_use]
    pub fn choose(&self, query: &LogQuery) -> Chosen {
        let low = query.after.map_or(0, |after| after.saturating_add(1)).max(self.lowest());
        let high = query.before.unwrap_or(u64::MAX).min(self.next).max(low);
        let (offset, size) = (query.page.offset(), u64::from(query.page.size));
        let lines = match query.order {
            LogOrder::TimestampAsc => {
                let start = low.saturating_add(offset).min(high);
                start..start.saturating_add(size).min(high)
            }
            LogOrder::TimestampDesc => {
                let end = high.saturating_sub(offset).max(low);
                end.saturating_sub(size).max(low)..end
            }
        };
        Chosen { lines, total: high - low }
    }
}

/// A line's id as callers see it: of one length, and in the lines' order.
#[must_use]
pub fn id_of(number: u64) -> String {
    format!("{number:016x}")
}

/// The number of an id.
#[must_use]
pub fn number_of(id: &str) -> Option<u64> {
    let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { u64::from_str_radix(id, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(order: LogOrder, number: u32, size: u32) -> LogQuery {
        LogQuery { order, page: Page { number, size }, before: None, after: None }
    }

    #[test]
    fn pages_are_cut_from_the_newest_or_the_oldest_line() {
        let extent = Extent { first: 0, next: 25 };
        let chosen = |order, number| extent.choose(&query(order, number, 10)).lines;
        assert_eq!(
            [1, 2, 3, 4].map(|page| chosen(LogOrder::TimestampDesc, page)),
            [15..25, 5..15, 0..5, 0..0]
        );
        assert_eq!(
            [1, 2, 3, 4].map(|page| chosen(LogOrder::TimestampAsc, page)),
            [0..10, 10..20, 20..25, 25..25]
        );
    }

    #[test]
    fn what_was_removed_is_one_line() {
        let extent = Extent { first: 20, next: 25 };
        let chosen = extent.choose(&query(LogOrder::TimestampAsc, 1, 10));
        assert_eq!(chosen, Chosen { lines: 19..25, total: 6 });
        // Removed lines are gone, not moved: who has read up to 21 goes on at 22.
        let after = LogQuery { after: Some(21), ..query(LogOrder::TimestampAsc, 1, 10) };
        assert_eq!(extent.choose(&after), Chosen { lines: 22..25, total: 3 });
        let after = LogQuery { after: Some(3), ..after };
        assert_eq!(extent.choose(&after).lines, 19..25);
    }

    proptest! {
        #[test]
        fn pages_before_a_line_stay_while_lines_are_written(
            next in 0..500_u64, more in 0..500_u64, size in 1..50_u32, number in 1..20_u32
        ) {
            let at = |next| LogQuery { before: Some(next), ..query(LogOrder::TimestampDesc, number, size) };
            let then = Extent { first: 0, next }.choose(&at(next));
            let later = Extent { first: 0, next: next + more }.choose(&at(next));
            prop_assert_eq!(then, later);
        }

        #[test]
        fn all_pages_together_are_every_line_once(
            first in 0..300_u64, kept in 0..300_u64, size in 1..50_u32,
            before in prop::option::of(0..700_u64), after in prop::option::of(0..700_u64), asc in any::<bool>()
        ) {
            let extent = Extent { first, next: first + kept };
            let order = if asc { LogOrder::TimestampAsc } else { LogOrder::TimestampDesc };
            let mut seen = Vec::new();
            for number in 1.. {
                let chosen = extent.choose(&LogQuery { order, page: Page { number, size }, before, after });
                if chosen.lines.is_empty() {
                    prop_assert_eq!(chosen.total, seen.len() as u64);
                    break;
                }
                let lines: Vec<_> = chosen.lines.collect();
                seen.extend(if asc { lines } else { lines.into_iter().rev().collect() });
            }
            let wanted = |n: &u64| before.is_none_or(|b| *n < b) && after.is_none_or(|a| *n > a);
            let mut all: Vec<_> = (extent.lowest()..extent.next).filter(wanted).collect();
            if !asc { all.reverse(); }
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn an_id_is_read_as_it_is_written_and_others_are_refused() {
        for number in [0, 1, 0xdead_beef, u64::MAX] {
            assert_eq!(number_of(&id_of(number)), Some(number));
        }
        for text in ["", "1", "00000000000000001", "000000000000000g", "+00000000000000f", "é00000000000000"]
        {
            assert_eq!(number_of(text), None, "{text}");
        }
    }
}
