//! Queries: paging, ordering, filters. Unknown keys are ignored; of a repeated one the last counts.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use contract::api::{ApiError, ArgumentReason, OrderBy, Page};
use http::request::Parts;

use super::HttpError;

/// The query's pairs, decoded.
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

impl Pairs {
    /// The value of a key; empty counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, HttpError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(HttpError::constraint(name, "must be a number from 1")),
        }
    }

    /// The page asked for; `None` when neither key is there.
    pub(super) fn page(&self, largest: u32) -> Result<Option<Page>, HttpError> {
        let (number, size) = (self.number("page")?, self.number("page_size")?);
        if number.is_none() && size.is_none() {
            return Ok(None);
        }
        let size = size.unwrap_or(u64::from(Page::DEFAULT_SIZE)).min(u64::from(largest));
        let clamp = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Ok(Some(Page { number: clamp(number.unwrap_or(1)), size: clamp(size) }))
    }

    /// The order asked for.
    pub(super) fn order(&self) -> Result<OrderBy, HttpError> {
        match self.get("order_by") {
            None | Some("created_at_asc") => Ok(OrderBy::CreatedAtAsc),
            Some("created_at_desc") => Ok(OrderBy::CreatedAtDesc),
            Some("name_asc") => Ok(OrderBy::NameAsc),
            Some("name_desc") => Ok(OrderBy::NameDesc),
            Some(other) => Err(HttpError(ApiError::argument(
                "order_by",
                ArgumentReason::Unknown,
                format!("{other:?} is not one of created_at_asc, created_at_desc, name_asc, name_desc"),
            ))),
        }
    }
}

/// First page of the default size.
pub(super) const FIRST: Page = Page { number: 1, size: Page::DEFAULT_SIZE };

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Query::try_from_uri(&parts.uri).map(|Query(pairs)| pairs).unwrap_or_default()))
    }
}
