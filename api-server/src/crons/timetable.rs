//! Which cron ticks next: schedules and instants, without a clock, a store or I/O. Instants are milliseconds since the
//! Unix epoch.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::Schedule;
use crate::store::Tick;

/// Calls of the same minute are spread over so long, always alike for the same cron.
const SPREAD_MS: i64 = 1000;
/// A tick that nobody could act on for longer than this is missed, as is one while no server ran.
const LATEST_MS: i64 = 60_000;
/// When the clock goes back further than this, what it said before is not believed any more.
const BACK_MS: i64 = 60_000;

/// All crons, in the order in which they tick.
#[derive(Debug, Default)]
pub struct Timetable {
    crons: HashMap<String, Entry>,
    queue: BTreeSet<(i64, String)>,
    /// The last instant that it was told.
    now: i64,
}

#[derive(Debug)]
struct Entry {
    expression: String,
    schedule: Schedule,
    tick: i64,
}

impl Timetable {
    /// These are all crons, by id and expression, as of `now`. Those that were there already keep their next tick; new
    /// and changed ones tick after `now`.
    pub fn replace(&mut self, all: Vec<(String, String)>, now: i64) {
        let mut before = std::mem::take(&mut self.crons);
        self.queue.clear();
        self.now = self.now.max(now);
        for (id, expression) in all {
            let entry = match before.remove(&id).filter(|entry| entry.expression == expression) {
                Some(entry) => Some(entry),
                None => Entry::new(&id, expression, now),
            };
            if let Some(entry) = entry {
                self.insert(id, entry);
            }
        }
    }

    /// The ticks that have come, each once.
    pub fn take_due(&mut self, now: i64) -> Vec<Tick> {
        if now < self.now - BACK_MS {
            tracing::warn!(ms = self.now - now, "the clock went back: crons tick by what it says now");
            let all = self.crons.drain().map(|(id, entry)| (id, entry.expression)).collect();
            self.now = now;
            self.replace(all, now);
        }
        self.now = now;
        let mut due = Vec::new();
        while let Some((at, id)) = self.queue.pop_first() {
            if at > now {
                self.queue.insert((at, id));
                break;
            }
            let Some(mut entry) = self.crons.remove(&id) else { continue };
            if now - at > LATEST_MS {
                tracing::warn!(cron.id = %id, late_ms = now - at, "a cron's tick was missed");
            } else {
                due.push(Tick { cron_id: id.clone(), schedule: entry.expression.clone(), at: entry.tick });
            }
            // What came meanwhile and is not too late comes too.
            let after = entry.tick.max(now - LATEST_MS - spread(&id));
            if let Some(tick) = entry.schedule.next_after(after) {
                entry.tick = tick;
                self.insert(id, entry);
            }
        }
        due
    }

    /// When the next tick is acted on.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.queue.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, id: String, entry: Entry) {
        self.queue.insert((entry.tick + spread(&id), id.clone()));
        self.crons.insert(id, entry);
    }
}

impl Entry {
    /// `None` for an expression that never ticks again; the API stores none that it cannot read.
    fn new(id: &str, expression: String, now: i64) -> Option<Self> {
        match Schedule::parse(&expression) {
            Ok(schedule) => schedule.next_after(now).map(|tick| Self { expression, schedule, tick }),
            Err(error) => {
                tracing::error!(cron.id = %id, expression, %error, "a stored schedule cannot be read");
                None
            }
        }
    }
}

/// 0 up to [`SPREAD_MS`].
fn spread(id: &str) -> i64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    i64::try_from(hasher.finish() % SPREAD_MS.unsigned_abs()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    /// A whole minute.
    const START: i64 = 1_800_000_000_000;

    fn table(crons: &[(&str, &str)], now: i64) -> Timetable {
        let mut table = Timetable::default();
        replace(&mut table, crons, now);
        table
    }

    fn replace(table: &mut Timetable, crons: &[(&str, &str)], now: i64) {
        let owned = |(id, schedule): &(&str, &str)| ((*id).to_owned(), (*schedule).to_owned());
        table.replace(crons.iter().map(owned).collect(), now);
    }

    /// The minutes of the ticks that have come.
    fn due(table: &mut Timetable, now: i64) -> Vec<i64> {
        table.take_due(now).iter().map(|tick| (tick.at - START) / MINUTE).collect()
    }

    #[test]
    fn every_tick_comes_once_and_not_before_its_time() {
        let mut table = table(&[("a", "* * * * *"), ("b", "*/2 * * * *")], START);
        let mut came = Vec::new();
        // A second and a bit at a time, for ten minutes.
        for now in (START..START + 10 * MINUTE + 3 * SPREAD_MS).step_by(1013) {
            for tick in table.take_due(now) {
                assert!((tick.at..tick.at + SPREAD_MS + 1013).contains(&now), "{tick:?} at {now}");
                came.push((tick.cron_id, (tick.at - START) / MINUTE));
            }
        }
        came.sort();
        let every = |id: &str, minutes: usize| {
            (minutes..=10).step_by(minutes).map(|at| (id.to_owned(), at as i64)).collect::<Vec<_>>()
        };
        let expected = [every("a", 1), every("b", 2)].concat();
        assert_eq!(came, expected);
    }

    #[test]
    fn what_was_missed_is_not_made_up() {
        let mut table = table(&[("a", "* * * * *")], START);
        assert_eq!(due(&mut table, START + 2 * MINUTE - 1), [1], "late by less than a minute");
        // The machine slept for an hour and a half minute.
        assert_eq!(due(&mut table, START + 90 * MINUTE + MINUTE / 2), [90]);
        assert_eq!(due(&mut table, START + 91 * MINUTE + SPREAD_MS), [91]);
    }

    #[test]
    fn a_clock_that_went_back_is_believed() {
        let mut table = table(&[("a", "* * * * *")], START);
        assert_eq!(due(&mut table, START + 5 * MINUTE + SPREAD_MS), [5]);
        assert_eq!(due(&mut table, START + 5 * MINUTE), [0_i64; 0]);
        assert_eq!(due(&mut table, START + 3 * MINUTE), [0_i64; 0]);
        // That it came before is the store's to know.
        assert_eq!(due(&mut table, START + 4 * MINUTE + SPREAD_MS), [4]);
    }

    #[test]
    fn only_a_changed_schedule_moves_the_next_tick() {
        let mut table = table(&[("a", "*/10 * * * *"), ("b", "*/10 * * * *"), ("c", "* * * * *")], START);
        let later = START + 9 * MINUTE + MINUTE / 2;
        let crons = [("a", "*/10 * * * *"), ("b", "*/20 * * * *")];
        replace(&mut table, &crons, later);
        assert_eq!(due(&mut table, START + 10 * MINUTE + SPREAD_MS), [10]);
        assert_eq!(due(&mut table, START + 20 * MINUTE + SPREAD_MS), [20, 20]);
        replace(&mut table, &[], later);
        assert_eq!(table.next_due(), None);
    }
}
