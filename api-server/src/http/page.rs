//! Queries: what a list understands, paging, ordering, filters. Unknown keys are ignored; of a repeated one the last
//! counts.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use contract::{
    api::{ArgumentReason, OrderBy, Page},
    limits::ApiLimits,
};
use http::request::Parts;

use super::{HttpError, arguments::Problems, auth::Caller, operation::Parameter};
use crate::store::{Selection, name_of};

/// A list of the API, declared once: what it answers and what its description says both come from here.
///
/// Every list has `page`, `page_size`, `order_by` and `organization_id` (the key's own, or it is refused) too.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// What it lists, as errors name it: `function`.
    pub(super) kind: &'static str,
    /// Values of `order_by`; the first one is the default.
    pub(super) orders: &'static [OrderBy],
    /// Keys whose value a row's column of the same name must equal.
    pub(super) filters: &'static [&'static str],
}

/// Orders of lists whose rows have names.
pub(super) const BY_TIME_OR_NAME: &[OrderBy] =
    &[OrderBy::CreatedAtAsc, OrderBy::CreatedAtDesc, OrderBy::NameAsc, OrderBy::NameDesc];

impl List {
    /// What a query asks of the flat list: the first page unless it says otherwise.
    ///
    /// # Errors
    /// Everything that is wrong, at once; another organization than the caller's own.
    pub(super) fn select(
        &self,
        query: &Pairs,
        caller: &Caller,
        limits: &ApiLimits,
    ) -> Result<Selection, HttpError> {
        let mut selection = self.selection(query, caller, limits)?;
        selection.page.get_or_insert(Page::FIRST);
        Ok(selection)
    }

    /// What a query asks of the list of one namespace: all of it, unless a page is asked for.
    ///
    /// # Errors
    /// As [`List::select`].
    pub(super) fn select_within(
        &self,
        query: &Pairs,
        caller: &Caller,
        limits: &ApiLimits,
        namespace_id: &str,
    ) -> Result<Selection, HttpError> {
        let mut selection = self.selection(query, caller, limits)?;
        selection.filters.retain(|(column, _)| *column != "namespace_id");
        selection.filters.push(("namespace_id", namespace_id.to_owned()));
        Ok(selection)
    }

    /// The keys of [`List::select`].
    pub(super) fn parameters(&self, limits: &ApiLimits) -> Vec<Parameter> {
        let orders: Vec<_> = self.orders.iter().map(name_of).collect();
        let size = format!("Elements in a page; more than {0} are as good as {0}.", limits.page_size);
        let mut parameters = vec![
            Parameter::number("page", "Page, from 1. One past the end is empty.", None, Some(1)),
            Parameter::number("page_size", size, None, Some(Page::DEFAULT_SIZE)),
            Parameter::one_of("order_by", "Order of the list.", &orders),
            Parameter::text("organization_id", "The key's own; another is refused."),
        ];
        let filter = |name: &&'static str| Parameter::text(name, format!("Only those with this `{name}`."));
        parameters.extend(self.filters.iter().map(filter));
        parameters
    }

    /// The keys of [`List::select_within`].
    pub(super) fn parameters_within(&self, limits: &ApiLimits) -> Vec<Parameter> {
        let own = |parameter: &Parameter| parameter.name != "namespace_id";
        self.parameters(limits).into_iter().filter(own).collect()
    }

    fn selection(&self, query: &Pairs, caller: &Caller, limits: &ApiLimits) -> Result<Selection, HttpError> {
        let mut problems = Problems::default();
        let page = query.page(limits.page_size, &mut problems);
        let order = self.order(query, &mut problems);
        problems.finish()?;
        caller.require_own(query.get("organization_id"), self.kind, "list")?;
        let filter = |name: &&'static str| query.get(name).map(|value| (*name, value.to_owned()));
        Ok(Selection {
            filters: self.filters.iter().filter_map(filter).collect(),
            created: None,
            order,
            page,
        })
    }

    fn order(&self, query: &Pairs, problems: &mut Problems) -> OrderBy {
        let default = self.orders.first().copied().unwrap_or_default();
        let Some(asked) = query.get("order_by") else { return default };
        let found = self.orders.iter().find(|order| name_of(*order) == asked).copied();
        if found.is_none() {
            let names: Vec<_> = self.orders.iter().map(name_of).collect();
            let help = format!("{asked:?} is not one of {}", names.join(", "));
            problems.refuse("order_by", ArgumentReason::Unknown, help);
        }
        found.unwrap_or(default)
    }
}

/// The query's pairs, decoded.
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

impl Pairs {
    /// The value of a key; empty counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A whole number from 1, at most `u32::MAX`: larger ones are beyond every list and every page alike.
    fn number(&self, name: &str, problems: &mut Problems) -> Option<u32> {
        let text = self.get(name)?;
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse::<u32>().unwrap_or(u32::MAX)).filter(|number| *number > 0);
        if number.is_none() {
            let help = format!("{text:?} is not a whole number from 1");
            problems.refuse(name, ArgumentReason::Constraint, help);
        }
        number
    }

    /// The page asked for; `None` when neither key is there.
    pub(super) fn page(&self, largest: u32, problems: &mut Problems) -> Option<Page> {
        let (number, size) = (self.number("page", problems), self.number("page_size", problems));
        if number.is_none() && size.is_none() {
            return None;
        }
        let size = size.unwrap_or(Page::DEFAULT_SIZE).min(largest);
        Some(Page { number: number.unwrap_or(1), size })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Query::try_from_uri(&parts.uri).map(|Query(pairs)| pairs).unwrap_or_default()))
    }
}
