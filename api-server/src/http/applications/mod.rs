//! Functions and containers: one code for both, over what they do not have in common on the wire ([`Wire`]).

mod change;
mod read;

use std::future::Future;

pub(super) use change::{create, delete, deploy, update};
pub(super) use read::{get, list, list_of_namespace};

use contract::limits::Quotas;

use super::{
    arguments::Arguments,
    auth::Caller,
    origin::Origin,
    page::{BY_TIME_OR_NAME, List},
};
use crate::{
    AppState,
    store::{Application, Kind, StoreError},
};

/// A kind of application as callers see it.
pub(super) trait Wire: Kind {
    /// Body of `POST`.
    type Create: Send;
    /// Body of `PATCH`.
    type Update: Send;
    /// One, as answered.
    type Answer: Send;
    /// A page of them.
    type Page: Send;
    /// What a body says of the program.
    type Said: Clone + Send;

    /// Its lists.
    const LIST: List = List { kind: Self::NAME, orders: BY_TIME_OR_NAME, filters: &["namespace_id", "name"] };

    /// How many an organization may have in a region.
    fn quota(quotas: &Quotas) -> u64;

    /// Notes in `body` what is wrong with a name. An empty one is refused as missing elsewhere.
    fn check_name(body: &mut Arguments, name: &str);

    /// Takes the program's fields; problems stay in `body`.
    ///
    /// # Errors
    /// What the store says, where a field names something in it.
    fn take(
        body: &mut Arguments,
        asked: &Asked<'_>,
    ) -> impl Future<Output = Result<Self::Said, StoreError>> + Send;

    /// The program of a new one that says no more than this.
    fn initial(said: &Self::Said) -> Self;

    /// What was said over what was; what does not go together is noted in `body`.
    fn over(said: Self::Said, was: Self, body: &mut Arguments) -> Self;

    /// As answered.
    fn answer(row: Application<Self>, origin: &Origin) -> Self::Answer;

    /// A page as answered.
    fn page(answers: Vec<Self::Answer>, total_count: u64) -> Self::Page;
}

/// Who asks, and how they reach this server.
pub(super) struct Asked<'a> {
    pub(super) state: &'a AppState,
    pub(super) caller: &'a Caller,
    pub(super) origin: &'a Origin,
}
