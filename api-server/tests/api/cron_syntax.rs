//! Cron expressions, compared with Kubernetes' own parser.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use api_server::crons::{Schedule, ScheduleError};
use serde::Deserialize;

use crate::settings::setting;

/// What `tests/clients/robfig-cron` printed. More rows: add `{"expression": ...}`, run the tests once with
/// `ZIPSHIP_WRITE_CRONS=1`.
const GOLDEN: &str = include_str!("../../../tests/clients/robfig-cron/golden.jsonl");
/// After which the program prints the next three ticks.
const INSTANTS: [&str; 3] = ["2026-11-29T12:34:56Z", "2028-02-28T23:59:00Z", "2030-12-31T23:58:59Z"];
const TICKS: usize = 3;
/// Random expressions that are compared.
const RANDOM: usize = 5000;

#[derive(Debug, Deserialize)]
struct Row {
    expression: String,
    refused: Option<String>,
    next: Option<Vec<Vec<String>>>,
}

impl Row {
    /// What is to be refused although Kubernetes' parser bears it.
    fn exception(&self) -> Option<ScheduleError> {
        if self.expression.starts_with("@every") {
            return Some(ScheduleError::Every);
        }
        if ["TZ=", "CRON_TZ="].iter().any(|zone| self.expression.starts_with(zone)) {
            return Some(ScheduleError::TimeZone);
        }
        self.next.as_ref().filter(|next| next.iter().all(Vec::is_empty)).map(|_| ScheduleError::Never)
    }

    fn compare(&self) {
        let parsed = Schedule::parse(&self.expression);
        if let Some(exception) = self.exception() {
            assert_eq!(parsed, Err(exception), "{self:?}");
            return;
        }
        let Some(next) = &self.next else {
            assert!(parsed.is_err(), "{self:?}");
            return;
        };
        let schedule = parsed.unwrap_or_else(|error| panic!("{self:?}: {error}"));
        let ours = INSTANTS.map(|instant| ticks(&schedule, instant));
        assert_eq!(ours.as_slice(), next.as_slice(), "{}", self.expression);
    }
}

fn ticks(schedule: &Schedule, after: &str) -> Vec<String> {
    let mut at = after.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let tick = || {
        at = schedule.next_after(at).unwrap();
        jiff::Timestamp::from_millisecond(at).unwrap().to_string()
    };
    std::iter::repeat_with(tick).take(TICKS).collect()
}

/// What the other parser prints for rows.
fn others(rows: String) -> String {
    let program = setting("ZIPSHIP_CLIENTS").join("robfig-cron/robfig-cron");
    let mut child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(rows.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_table_is_what_kubernetes_parser_says() {
    let printed = others(GOLDEN.to_owned());
    if std::env::var_os("ZIPSHIP_WRITE_CRONS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/clients/robfig-cron/golden.jsonl");
        std::fs::write(path, &printed).unwrap();
    } else {
        assert!(printed == GOLDEN, "the table is old: run the tests once with ZIPSHIP_WRITE_CRONS=1");
    }
}

#[test]
fn expressions_are_read_as_kubernetes_reads_them() {
    let rows: Vec<Row> = GOLDEN.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accepted = rows.iter().filter(|row| row.next.is_some()).count();
    assert!(rows.len() >= 200 && accepted >= 100 && rows.len() - accepted >= 50, "{accepted}");
    rows.iter().for_each(Row::compare);
    let refused_in_words = |row: &Row| row.refused.as_ref().is_none_or(|why| !why.is_empty());
    assert!(rows.iter().all(refused_in_words));
}

#[test]
fn random_expressions_are_read_as_kubernetes_reads_them() {
    let mut random = Random(0x5DEE_CE66);
    let line = || serde_json::json!({"expression": random.expression()}).to_string() + "\n";
    let rows: String = std::iter::repeat_with(line).take(RANDOM).collect();
    let rows: Vec<Row> = others(rows).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), RANDOM);
    let accepted = rows.iter().filter(|row| row.next.is_some()).count();
    assert!((RANDOM / 4..RANDOM).contains(&accepted), "{accepted}");
    rows.iter().for_each(Row::compare);
}

/// Always the same numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Mostly within bounds. A 7 is no day of the week there, so none is written.
    fn expression(&mut self) -> String {
        let fields: [(u64, u64, &[&str]); 5] =
            [(0, 60, &[]), (0, 24, &[]), (1, 32, &[]), (1, 13, &["JAN", "feb"]), (0, 7, &["SUN", "fri"])];
        fields.map(|(min, end, names)| self.field(min, end, names)).join(" ")
    }

    fn field(&mut self, min: u64, end: u64, names: &[&str]) -> String {
        let parts = 1 + self.below(6) / 4;
        let part = || self.part(min, end, names);
        std::iter::repeat_with(part).take(usize::try_from(parts).unwrap()).collect::<Vec<_>>().join(",")
    }

    fn part(&mut self, min: u64, end: u64, names: &[&str]) -> String {
        let range = match self.below(8) {
            0..3 => "*".to_owned(),
            3..6 => self.value(min, end, names),
            6 => {
                let first = min + self.below(end - min);
                format!("{first}-{}", first + self.below(end - first))
            }
            _ => format!("{}-{}", self.value(min, end, names), self.value(min, end, names)),
        };
        if self.below(3) == 0 { format!("{range}/{}", self.below(20)) } else { range }
    }

    fn value(&mut self, min: u64, end: u64, names: &[&str]) -> String {
        match self.below(16) {
            0 => ["?", "61", "", "x", "+3", "00"][self.below(6) as usize].to_owned(),
            1 if !names.is_empty() => names[self.below(names.len() as u64) as usize].to_owned(),
            _ => (min + self.below(end - min)).to_string(),
        }
    }
}
