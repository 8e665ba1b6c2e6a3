//! Acts on ticks: each is written down, then called, then its end is written down.
//!
//! A tick is acted on at most once. Killed between the two writes, the next start reads the run as `unknown` and does
//! not call again; what would have ticked while no server ran is not made up ([`Timetable`] begins at `now`).

use std::{future::Future, sync::Arc, time::Duration};

use contract::api::CronRunState;
use futures_util::future::BoxFuture;
use tokio::{task::JoinSet, time::Instant};

use super::{Timetable, clock};
use crate::{
    AppState,
    effect::effect,
    logs::About,
    store::{Call, End, Start, StoreError, Tick, new_id, persist},
};

/// However long nothing ticks: the machine's clock may have been set.
const SWEEP: Duration = Duration::from_secs(60);
/// When crons could not be read.
const AGAIN: Duration = Duration::from_secs(1);
/// What a call may take beside its application's time limit: waiting for a place, a start, and the answer's body.
pub(super) const ALLOWANCE: Duration = Duration::from_secs(150);
/// How late a tick is acted on when the database was away: then it is a missed one, which is not made up.
const LATEST: Duration = Duration::from_secs(30);
/// After these the call has surely been given up.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// Sends the calls of crons.
pub trait Caller: Send + Sync + 'static {
    /// Sends one, and says how it ended. Takes no longer than the application's time limit and 150 s.
    fn call(&self, call: Call) -> BoxFuture<'static, End>;
}

/// The timetable, and the calls that run. Dropping it breaks them off.
pub struct Scheduler {
    state: AppState,
    caller: Arc<dyn Caller>,
    timetable: Timetable,
    calls: JoinSet<()>,
}

impl Scheduler {
    /// For the start, before anything ticks: what a server that is gone left running is `unknown`, and every cron ticks
    /// after `now`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn restore(state: AppState, caller: Arc<dyn Caller>, now: i64) -> Result<Self, StoreError> {
        let unknown = state.store.recover_runs().await?;
        if unknown > 0 {
            tracing::warn!(
                runs = unknown,
                "of calls of crons nobody knows what came: the server ended first"
            );
        }
        let mut scheduler = Self { state, caller, timetable: Timetable::default(), calls: JoinSet::new() };
        scheduler.try_reload(now).await?;
        Ok(scheduler)
    }

    /// Ticks until `stop` resolves; then lets the calls that run end, for `limit` at most.
    pub async fn run(mut self, stop: impl Future<Output = ()>, limit: Duration) {
        let mut stop = std::pin::pin!(stop);
        let state = self.state.clone();
        let mut reload_at = Instant::now() + SWEEP;
        loop {
            if Instant::now() >= reload_at {
                reload_at = Instant::now() + if self.reload(clock::now()).await { SWEEP } else { AGAIN };
            }
            self.turn(clock::now());
            let due = self.timetable.next_due().map_or(i64::MAX, |due| due - clock::now());
            let due = Instant::now() + Duration::from_millis(due.max(0).unsigned_abs()).min(SWEEP);
            // Cancel-safe: a ring that is not heard leaves its permit.
            tokio::select! {
                () = tokio::time::sleep_until(due.min(reload_at)) => {}
                () = state.crons_changed.notified() => reload_at = Instant::now(),
                () = &mut stop => break,
            }
        }
        let until = Instant::now() + limit;
        while let Ok(Some(_)) = tokio::time::timeout_at(until, self.calls.join_next()).await {}
    }

    /// Acts on all that has ticked by `now`.
    pub fn turn(&mut self, now: i64) {
        for tick in self.timetable.take_due(now) {
            self.calls.spawn(act(self.state.clone(), Arc::clone(&self.caller), tick, now));
        }
        while self.calls.try_join_next().is_some() {}
    }

    /// Looks which crons there are; whether that went well. If not, those that are known tick on.
    pub async fn reload(&mut self, now: i64) -> bool {
        let read = self.try_reload(now).await;
        read.inspect_err(|error| tracing::error!(%error, "crons could not be read")).is_ok()
    }

    /// Waits until all calls have ended.
    pub async fn settle(&mut self) {
        while self.calls.join_next().await.is_some() {}
    }

    async fn try_reload(&mut self, now: i64) -> Result<(), StoreError> {
        self.timetable.replace(self.state.store.ready_crons().await?, now);
        Ok(())
    }
}

async fn act(state: AppState, caller: Arc<dyn Caller>, tick: Tick, now: i64) {
    if let Err(error) = try_act(&state, caller, &tick, now).await {
        tracing::error!(cron.id = %tick.cron_id, tick = tick.at, %error, "a run of a cron could not be written down");
    }
}

async fn try_act(state: &AppState, caller: Arc<dyn Caller>, tick: &Tick, now: i64) -> Result<(), StoreError> {
    let allowance = i64::try_from((ALLOWANCE + GIVEN_UP).as_millis()).unwrap_or(i64::MAX);
    let request_id = new_id();
    let written = persist(|| state.store.start_run(tick, now, allowance, &request_id));
    let call = match tokio::time::timeout(LATEST, written).await {
        Ok(Ok(Start::Run(call))) => call,
        Ok(Ok(Start::Skipped)) => {
            tracing::info!(cron.id = %tick.cron_id, tick = tick.at, "a tick was skipped: the call before still runs");
            return Ok(());
        }
        Ok(Ok(Start::Nothing)) => return Ok(()),
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            tracing::error!(cron.id = %tick.cron_id, tick = tick.at, "a tick was missed: the database was away");
            return Ok(());
        }
    };
    let about = About { request: Some(&call.request_id), ..About::default() };
    state.logs.event(&call.application_id, about, &format!("cron {}: it calls", call.cron_id));
    let end = effect("cron.call", caller.call(call.clone())).await;
    tracing::info!(
        cron.id = %call.cron_id, application.id = %call.application_id, request_id = %call.request_id,
        status = end.status_code, error = end.error_message, "a cron was called"
    );
    if let Some(text) = trouble(&call, &end) {
        state.logs.event(&call.application_id, about, &text);
    }
    let ended = clock::now();
    persist(|| state.store.finish_run(&call, &end, ended)).await
}

/// What an application's owner should know of a call that did not succeed.
fn trouble(call: &Call, end: &End) -> Option<String> {
    if end.state == CronRunState::Succeeded {
        return None;
    }
    let status = end.status_code.map_or_else(String::new, |status| format!(" with status {status}"));
    let why = Some(&end.error_message).filter(|why| !why.is_empty());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("cron {}: the call failed{status}{why}", call.cron_id))
}
