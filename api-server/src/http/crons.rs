//! Crons.

use axum::{Json, extract::State};
use contract::api::{CreateCron, Cron, CronRun, CronStatus, Crons, OrderBy, UpdateCron};

use super::{
    HttpError,
    arguments::Arguments,
    auth::{Caller, Id},
    json::Body,
    page::{List, Pairs},
};
use crate::{
    AppState,
    crons::{self, Schedule},
    store::{CronChange, CronRow, NewCron, Run, new_id},
};

pub(super) const LIST: List = List {
    kind: "cron",
    orders: &[OrderBy::CreatedAtAsc, OrderBy::CreatedAtDesc],
    filters: &["application_id"],
};

pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
) -> Result<Json<Crons>, HttpError> {
    let selection = LIST.select(&query, &caller, &state.config.limits)?;
    let (rows, total_count) = state.store.list(&caller.tenant, &selection).await?;
    Ok(Json(Crons { crons: rows.into_iter().map(answer).collect(), total_count }))
}

pub(super) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    Body { arguments: mut body, .. }: Body<CreateCron>,
) -> Result<Json<Cron>, HttpError> {
    let application_id = body.required_text("application_id");
    let schedule = body.required_text("schedule");
    if !schedule.is_empty() {
        check_schedule(&mut body, &schedule);
    }
    let args = body.object("args").map(crons::plain).unwrap_or_default();
    body.finish()?;
    let new = NewCron { id: new_id(), application_id, schedule, args };
    let row = state.store.create_cron(&caller.tenant, new, state.config.quotas.crons).await?;
    state.crons_changed.notify_one();
    Ok(Json(answer(row)))
}

pub(super) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Cron>, HttpError> {
    Ok(Json(answer(state.store.get::<CronRow>(&caller.tenant, &id).await?)))
}

pub(super) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
    Body { arguments: mut body, .. }: Body<UpdateCron>,
) -> Result<Json<Cron>, HttpError> {
    let change = CronChange {
        application_id: body.text("application_id").filter(|id| !id.is_empty()),
        schedule: body.text("schedule"),
        args: body.object("args").map(crons::plain),
    };
    if let Some(schedule) = &change.schedule {
        check_schedule(&mut body, schedule);
    }
    body.finish()?;
    let row = state.store.update_cron(&caller.tenant, &id, change).await?;
    state.crons_changed.notify_one();
    Ok(Json(answer(row)))
}

pub(super) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Cron>, HttpError> {
    let row = state.store.delete_cron(&caller.tenant, &id).await?;
    state.crons_changed.notify_one();
    Ok(Json(answer(row)))
}

fn check_schedule(body: &mut Arguments, schedule: &str) {
    if let Err(error) = Schedule::parse(schedule) {
        body.refuse_constraint("schedule", error.to_string());
    }
}

fn answer(row: CronRow) -> Cron {
    let ticks = row.state == CronStatus::Ready;
    let next = Schedule::parse(&row.schedule).ok().and_then(|schedule| schedule.next_after(crons::now()));
    Cron {
        id: row.id,
        application_id: row.application_id,
        next_run: next.filter(|_| ticks).map(time),
        schedule: row.schedule,
        args: row.args,
        status: row.state,
        last_run: row.last_run.map(answer_run),
        last_skipped: row.last_skipped.map(time),
    }
}

fn answer_run(run: Run) -> CronRun {
    CronRun {
        tick: time(run.tick),
        state: run.state,
        started: time(run.started),
        ended: run.ended.map(time),
        status_code: run.status_code,
        request_id: run.request_id,
        error_message: run.error_message,
    }
}

/// RFC 3339, of milliseconds since the Unix epoch.
fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}
