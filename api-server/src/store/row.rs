//! Columns to values and back, where `Any`'s types are too few.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row as _, any::AnyRow};

use super::StoreError;
use crate::secrets::{Place, Sealer, SecretMap};

/// A non-negative integer column.
pub(super) fn unsigned<T: TryFrom<i64>>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    let value: i64 = row.try_get(column)?;
    T::try_from(value).map_err(|_| StoreError::Corrupt { column, value: value.to_string() })
}

/// A non-negative integer column that may be NULL.
pub(super) fn optional_unsigned<T: TryFrom<i64>>(
    row: &AnyRow,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let Some(value) = row.try_get::<Option<i64>, _>(column)? else { return Ok(None) };
    T::try_from(value).map(Some).map_err(|_| StoreError::Corrupt { column, value: value.to_string() })
}

/// A text column that holds the wire name of an enum.
pub(super) fn named<T: DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    let value: String = row.try_get(column)?;
    serde_json::from_value(serde_json::Value::String(value.clone()))
        .map_err(|_| StoreError::Corrupt { column, value })
}

/// A text column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    let value: String = row.try_get(column)?;
    serde_json::from_str(&value).map_err(|_| StoreError::Corrupt { column, value })
}

/// The sealed variables of a row, in its column `environment`.
pub(super) fn sealed_map(row: &AnyRow, sealer: &Sealer, place: Place<'_>) -> Result<SecretMap, StoreError> {
    let sealed: Vec<u8> = row.try_get("environment")?;
    Ok(sealer.open_map(place, &sealed)?)
}

/// The wire name of an enum's value.
pub(crate) fn name_of<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        // Only unit variants are stored by name; anything else would not read back.
        other => unreachable!("an enum without data serialises as its name, not {other:?}"),
    }
}

/// JSON of a value that always serialises.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    #[expect(clippy::expect_used, reason = "structs of strings and numbers always serialise")]
    serde_json::to_string(value).expect("a struct of strings and numbers")
}

/// A text that may come from anywhere (a compiler, a handler), as it can be stored: PostgreSQL's text has no NUL.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Sizes and counts fit: limits keep them far below 2^63.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count column.
pub(super) fn count(row: &AnyRow) -> Result<u64, StoreError> {
    unsigned(row, "n")
}
