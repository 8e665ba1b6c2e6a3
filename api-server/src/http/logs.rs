//! `GET logs`.

use axum::{Json, extract::State};
use contract::api::{ArgumentReason, Log, LogOrder, Logs, Page};

use super::{HttpError, arguments::Problems, auth::Caller, operation::Parameter, page::Pairs};
use crate::{
    AppState,
    logs::{Line, LogError, LogPage, LogQuery, id_of, number_of},
    store::{ContainerRow, FunctionRow, StoreError, name_of},
};

/// Values of `order_by`; the first one is the default.
const ORDERS: [LogOrder; 2] = [LogOrder::TimestampDesc, LogOrder::TimestampAsc];

/// Keys of its query.
pub(super) fn parameters(page_size: u32) -> Vec<Parameter> {
    let size = format!("Lines in a page; more than {page_size} are as good as {page_size}.");
    vec![
        Parameter::text("application_id", "The function or container.").required(),
        Parameter::number("page", "Page, from 1. One past the end is empty.", None, Some(1)),
        Parameter::number("page_size", size, None, Some(Page::DEFAULT_SIZE)),
        Parameter::one_of("order_by", "Order of the lines.", &ORDERS.map(|order| name_of(&order))),
        Parameter::text("before", "Only lines before the one with this `id`; pages are cut from these."),
        Parameter::text("after", "Only lines after the one with this `id`; pages are cut from these."),
    ]
}

pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Pairs,
) -> Result<Json<Logs>, HttpError> {
    let mut problems = Problems::default();
    let application_id = query.get("application_id").unwrap_or_default();
    if application_id.is_empty() {
        problems.refuse("application_id", ArgumentReason::Required, "is required");
    }
    let asked = LogQuery {
        order: order(&query, &mut problems),
        page: query.page(state.config.limits.page_size, &mut problems).unwrap_or(Page::FIRST),
        before: line("before", &query, &mut problems),
        after: line("after", &query, &mut problems),
    };
    problems.finish()?;
    require(&state, &caller, application_id).await?;
    let page = state.logs.page(&caller.tenant, application_id, asked).await?;
    Ok(Json(answer(page)))
}

/// Whether it is the caller's, of whichever kind.
async fn require(state: &AppState, caller: &Caller, application_id: &str) -> Result<(), StoreError> {
    match state.store.get::<FunctionRow>(&caller.tenant, application_id).await {
        Ok(_) => Ok(()),
        Err(StoreError::Missing { .. }) => {
            let container = state.store.get::<ContainerRow>(&caller.tenant, application_id).await;
            container.map(|_| ()).map_err(|error| match error {
                StoreError::Missing { id, .. } => StoreError::missing("application", &id),
                error => error,
            })
        }
        Err(error) => Err(error),
    }
}

fn order(query: &Pairs, problems: &mut Problems) -> LogOrder {
    let Some(asked) = query.get("order_by") else { return LogOrder::default() };
    let found = ORDERS.into_iter().find(|order| name_of(order) == asked);
    if found.is_none() {
        let help = format!("{asked:?} is not one of {}", ORDERS.map(|order| name_of(&order)).join(", "));
        problems.refuse("order_by", ArgumentReason::Unknown, help);
    }
    found.unwrap_or_default()
}

fn line(name: &str, query: &Pairs, problems: &mut Problems) -> Option<u64> {
    let id = query.get(name)?;
    let number = number_of(id);
    if number.is_none() {
        problems.refuse(name, ArgumentReason::Constraint, format!("{id:?} is no id of a line"));
    }
    number
}

fn answer(page: LogPage) -> Logs {
    Logs {
        logs: page.lines.into_iter().map(|(number, line)| row(number, line)).collect(),
        total_count: page.total,
        end: id_of(page.end),
    }
}

fn row(number: u64, line: Line) -> Log {
    let time = i64::try_from(line.time).unwrap_or(i64::MAX);
    let known = |id: String| Some(id).filter(|id| !id.is_empty());
    Log {
        id: id_of(number),
        message: line.text,
        timestamp: jiff::Timestamp::from_millisecond(time).unwrap_or_default().to_string(),
        stream: line.stream,
        instance_id: known(line.instance),
        request_id: known(line.request),
        part: line.part,
    }
}

impl From<LogError> for HttpError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Store(error) => error.into(),
            LogError::Files(_) => Self::internal(&error),
        }
    }
}
