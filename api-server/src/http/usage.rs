//! `GET usage`: what the organization's functions and containers used.

use axum::{Json, extract::State};
use contract::{
    api::{ArgumentReason, OrderBy, Usage, UsageDay},
    limits::ApiLimits,
};
use jiff::{Timestamp, civil::Date};

use super::{
    HttpError,
    arguments::Problems,
    auth::Caller,
    operation::Parameter,
    page::{List, Pairs},
};
use crate::{
    AppState,
    store::{DAY_MS, UsageRow, now_ms},
};

const LIST: List = List {
    kind: "usage",
    orders: &[OrderBy::CreatedAtAsc, OrderBy::CreatedAtDesc],
    filters: &["application_id", "namespace_id"],
};
/// Days that are told when no first one is named.
const DAYS: i64 = 30;

/// Keys of its query.
pub(super) fn parameters(limits: &ApiLimits) -> Vec<Parameter> {
    let mut parameters = LIST.parameters(limits);
    parameters.push(Parameter::day("from", "First day, in UTC; without it, 29 days before the last one."));
    parameters.push(Parameter::day("to", "Last day, in UTC; without it, today."));
    parameters
}

pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
) -> Result<Json<Usage>, HttpError> {
    let mut selection = LIST.select(&query, &caller, &state.config.limits)?;
    let mut problems = Problems::default();
    let (from, to) = (day(&query, "from", &mut problems), day(&query, "to", &mut problems));
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        problems.refuse("from", ArgumentReason::Constraint, "is after the day in to");
    }
    problems.finish()?;
    let to = to.unwrap_or_else(|| now_ms().div_euclid(DAY_MS) * DAY_MS);
    let from = from.unwrap_or(to - (DAYS - 1) * DAY_MS);
    selection.created = Some((from, to + DAY_MS));
    let (rows, total_count) = state.store.list::<UsageRow>(&caller.tenant, &selection).await?;
    Ok(Json(Usage { usage: rows.into_iter().map(answer).collect(), total_count }))
}

/// When a day begins, in milliseconds since the Unix epoch.
fn day(query: &Pairs, name: &'static str, problems: &mut Problems) -> Option<i64> {
    let text = query.get(name)?;
    let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let begins = date.and_then(|date| format!("{date}T00:00:00Z").parse::<Timestamp>().ok());
    let begins = begins.map(Timestamp::as_millisecond);
    if begins.is_none() {
        problems.refuse(name, ArgumentReason::Constraint, "must be a day such as 2030-01-31");
    }
    begins
}

fn answer(row: UsageRow) -> UsageDay {
    let day = Timestamp::from_millisecond(row.day).map(|at| at.to_string()).unwrap_or_default();
    UsageDay {
        application_id: row.application_id,
        namespace_id: row.namespace_id,
        kind: row.kind,
        name: row.name,
        day: day.chars().take(10).collect(),
        invocations: row.used.invocations,
        errors: row.used.errors,
        cold_starts: row.used.cold_starts,
        duration_ms: row.used.duration_ms,
        // A GB has 1024 MB, as in the table of memory limits.
        gb_seconds: row.used.memory_mb_ms as f64 / 1024.0 / 1000.0,
    }
}
