//! Crons as people read them.

use std::fmt::Write as _;

use contract::api::{Cron, CronRun, CronRunState};
use serde::Deserialize as _;
use serde_json::Value;

/// One line a cron.
pub(super) fn table(crons: &[Value]) -> anyhow::Result<String> {
    let mut rows = vec![["id", "application", "schedule", "next run (UTC)", "last run"].map(str::to_owned)];
    for cron in crons {
        let cron = Cron::deserialize(cron)?;
        let last = cron.last_run.as_ref().map_or_else(|| "never".to_owned(), in_short);
        let next = cron.next_run.unwrap_or_else(|| "-".to_owned());
        rows.push([cron.id, cron.application_id, cron.schedule, next, last]);
    }
    let widths: Vec<_> =
        (0..5).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(text, "{}", cells.join("  ").trim_end())?;
    }
    Ok(text)
}

/// All of one.
pub(super) fn whole(cron: &Value) -> anyhow::Result<String> {
    let cron = Cron::deserialize(cron)?;
    let mut lines = vec![
        ("id", cron.id),
        ("application", cron.application_id),
        ("schedule", cron.schedule),
        ("args", serde_json::to_string(&cron.args)?),
        ("next run", cron.next_run.unwrap_or_else(|| "-".to_owned())),
    ];
    match &cron.last_run {
        None => lines.push(("last run", "never".to_owned())),
        Some(run) => {
            lines.push(("last run", format!("{} at {}", in_short(run), run.tick)));
            lines.push(("request id", run.request_id.clone()));
            if !run.error_message.is_empty() {
                lines.push(("error", run.error_message.clone()));
            }
        }
    }
    lines.extend(cron.last_skipped.map(|tick| ("last skipped", tick)));
    let mut text = String::new();
    for (name, value) in lines {
        writeln!(text, "{name:<13} {value}")?;
    }
    Ok(text)
}

fn in_short(run: &CronRun) -> String {
    let state = match run.state {
        CronRunState::Running => "running",
        CronRunState::Succeeded => "succeeded",
        CronRunState::Failed => "failed",
        CronRunState::Unknown => "unknown",
    };
    match run.status_code {
        Some(status) => format!("{state} ({status})"),
        None => state.to_owned(),
    }
}
