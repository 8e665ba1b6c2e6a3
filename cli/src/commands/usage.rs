//! `zipship usage`: what functions and containers used.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use contract::api::UsageDay;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::registry::wait;
use super::resource::{InNamespace, Remote, Spaces, find_application, table};
use crate::api::Api;

/// Invocations, errors, cold starts and GB-seconds, per day (UTC) and function or container. Numbers are a few seconds
/// old; those of deleted functions stay.
#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// What a line is.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = By::Application)]
    by: By,
    /// Only this function or container, by name or id.
    #[arg(long, value_name = "NAME_OR_ID")]
    application: Option<String>,
    #[command(flatten)]
    scope: InNamespace,
    /// First day, such as 2030-01-31 [default: 29 days before the last one].
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Last day [default: today].
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// A day of all that there is.
    Day,
    /// A function or container over all days.
    Application,
}

/// Lists it.
pub(crate) fn run(usage: &Usage) -> anyhow::Result<ExitCode> {
    let api = usage.remote.client()?;
    wait(usage.run(&api))??;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Sum {
    invocations: u64,
    errors: u64,
    cold_starts: u64,
    duration_ms: u64,
    gb_seconds: f64,
}

impl Usage {
    async fn run(&self, api: &Api) -> anyhow::Result<()> {
        let mut query = String::new();
        if let Some(which) = &self.application {
            let found = find_application(api, which, self.scope.namespace.as_deref()).await?;
            query.push_str(&format!("application_id={}&", found.id));
        } else if let Some(namespace) = &self.scope.namespace {
            let found = super::resource::find::<contract::api::Namespace>(api, namespace, None).await?;
            query.push_str(&format!("namespace_id={}&", found.id));
        }
        let days = [("from", &self.from), ("to", &self.to)];
        for (name, day) in days.into_iter().filter_map(|(name, day)| Some((name, day.as_ref()?))) {
            let day = percent_encoding::utf8_percent_encode(day, percent_encoding::NON_ALPHANUMERIC);
            query.push_str(&format!("{name}={day}&"));
        }
        let rows = api.list("usage", &query).await?;
        let rows = rows.iter().map(UsageDay::deserialize).collect::<Result<Vec<_>, _>>()?;
        match self.by {
            By::Day => self.tell_days(&rows),
            By::Application => self.tell_applications(api, &rows).await,
        }
    }

    fn tell_days(&self, rows: &[UsageDay]) -> anyhow::Result<()> {
        let sums = summed(rows, |row| row.day.clone());
        if self.remote.json {
            let days = sums.iter().map(|(day, sum)| with(json!({"day": day}), sum));
            return self.remote.tell_json(&days.collect());
        }
        print!("{}", text(&["day"], sums.into_iter().map(|(day, sum)| (vec![day], sum))));
        Ok(())
    }

    async fn tell_applications(&self, api: &Api, rows: &[UsageDay]) -> anyhow::Result<()> {
        let key = |row: &UsageDay| {
            let row = row.clone();
            (row.namespace_id, row.name, row.kind, row.application_id)
        };
        let sums = summed(rows, key);
        if self.remote.json {
            let one = |((namespace_id, name, kind, id), sum): (&(String, String, String, String), &Sum)| {
                let of =
                    json!({"application_id": id, "name": name, "kind": kind, "namespace_id": namespace_id});
                with(of, sum)
            };
            return self.remote.tell_json(&sums.iter().map(one).collect());
        }
        let spaces = Spaces::read(api).await?;
        let lines = sums
            .into_iter()
            .map(|((namespace, name, kind, id), sum)| (vec![id, name, spaces.name(&namespace), kind], sum));
        print!("{}", text(&["id", "name", "namespace", "kind"], lines));
        Ok(())
    }
}

fn summed<K: Ord>(rows: &[UsageDay], key: impl Fn(&UsageDay) -> K) -> BTreeMap<K, Sum> {
    let mut sums: BTreeMap<K, Sum> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(key(row)).or_default();
        sum.invocations += row.invocations;
        sum.errors += row.errors;
        sum.cold_starts += row.cold_starts;
        sum.duration_ms += row.duration_ms;
        sum.gb_seconds += row.gb_seconds;
    }
    sums
}

fn with(mut of: Value, sum: &Sum) -> Value {
    of["invocations"] = sum.invocations.into();
    of["errors"] = sum.errors.into();
    of["cold_starts"] = sum.cold_starts.into();
    of["duration_ms"] = sum.duration_ms.into();
    of["gb_seconds"] = sum.gb_seconds.into();
    of
}

/// One line each, and one of all.
fn text(heads: &[&str], lines: impl Iterator<Item = (Vec<String>, Sum)>) -> String {
    let mut total = Sum::default();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (mut cells, sum) in lines {
        total.invocations += sum.invocations;
        total.errors += sum.errors;
        total.cold_starts += sum.cold_starts;
        total.duration_ms += sum.duration_ms;
        total.gb_seconds += sum.gb_seconds;
        cells.extend(numbers(&sum));
        rows.push(cells);
    }
    let mut last = vec![String::new(); heads.len()];
    last[0] = "total".to_owned();
    last.extend(numbers(&total));
    rows.push(last);
    let heads = [heads, &["invocations", "errors", "cold starts", "seconds", "GB-seconds"]].concat();
    table(&heads, rows)
}

fn numbers(sum: &Sum) -> [String; 5] {
    [
        sum.invocations.to_string(),
        sum.errors.to_string(),
        sum.cold_starts.to_string(),
        format!("{:.3}", sum.duration_ms as f64 / 1000.0),
        format!("{:.3}", sum.gb_seconds),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, day: &str, invocations: u64) -> UsageDay {
        UsageDay {
            application_id: id.to_owned(),
            namespace_id: "n".to_owned(),
            kind: "function".to_owned(),
            name: "f".to_owned(),
            day: day.to_owned(),
            invocations,
            errors: 1,
            cold_starts: 1,
            duration_ms: 500,
            gb_seconds: 0.125,
        }
    }

    #[test]
    fn days_and_applications_are_summed_with_a_total() {
        let rows = [row("1", "2030-01-30", 3), row("1", "2030-01-31", 4), row("2", "2030-01-31", 5)];
        let days = summed(&rows, |row| row.day.clone());
        assert_eq!(
            days["2030-01-31"],
            Sum { invocations: 9, errors: 2, cold_starts: 2, duration_ms: 1000, gb_seconds: 0.25 }
        );
        let printed = text(&["day"], days.into_iter().map(|(day, sum)| (vec![day], sum)));
        let last = printed.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(last, ["total", "12", "3", "3", "1.500", "0.375"], "{printed}");
        assert_eq!(summed(&rows, |row| row.application_id.clone())["1"].invocations, 7);
    }
}
