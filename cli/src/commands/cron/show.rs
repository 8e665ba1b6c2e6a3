//! Crons as people read them.

use contract::api::{Cron, CronRun, CronRunState};

use super::super::resource::{Resource, Spaces, cell};

impl Resource for Cron {
    const NAME: &'static str = "cron";
    const LIST: &'static str = "crons";
    const COLUMNS: &'static [&'static str] = &["id", "application", "schedule", "next run (UTC)", "last run"];

    fn row(self, _: &Spaces) -> Vec<String> {
        let last = self.last_run.as_ref().map_or_else(|| "never".to_owned(), in_short);
        let next = self.next_run.unwrap_or_else(|| "-".to_owned());
        vec![self.id, self.application_id, self.schedule, next, last]
    }

    fn lines(self, _: &Spaces) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("id", self.id),
            ("application", self.application_id),
            ("schedule", self.schedule),
            ("args", cell(&serde_json::Value::Object(self.args).to_string())),
            ("next run", self.next_run.unwrap_or_else(|| "-".to_owned())),
        ];
        match &self.last_run {
            None => lines.push(("last run", "never".to_owned())),
            Some(run) => {
                lines.push(("last run", format!("{} at {}", in_short(run), run.tick)));
                lines.push(("request id", run.request_id.clone()));
                if !run.error_message.is_empty() {
                    lines.push(("error", cell(&run.error_message)));
                }
            }
        }
        lines.extend(self.last_skipped.map(|tick| ("last skipped", tick)));
        lines
    }
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
