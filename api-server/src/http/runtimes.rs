//! `GET runtimes`.

use axum::Json;
use contract::{api::Runtimes, runtime::Runtime};

use super::auth::Caller;

pub(super) async fn list(_caller: Caller) -> Json<Runtimes> {
    Json(Runtimes { runtimes: Runtime::names().into_iter().map(str::to_owned).collect() })
}
