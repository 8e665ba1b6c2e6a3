//! `GET runtimes`.

use axum::Json;
use contract::{api::Runtimes, runtime::Runtime};

use super::{HttpError, auth::Caller};

pub(super) async fn list(_caller: Caller) -> Result<Json<Runtimes>, HttpError> {
    Ok(Json(Runtimes { runtimes: Runtime::names().into_iter().map(str::to_owned).collect() }))
}
