//! Arguments of a body: taken one by one by name and type; everything that is wrong is told at once.

use std::collections::BTreeMap;

use contract::api::{ApiError, ArgumentDetail, ArgumentReason};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::HttpError;

/// What is wrong with a request, so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<ArgumentDetail>);

impl Problems {
    /// Notes a problem.
    pub(super) fn refuse(&mut self, name: &str, reason: ArgumentReason, help: impl Into<String>) {
        let help_message = help.into();
        self.0.push(ArgumentDetail { argument_name: name.to_owned(), reason, help_message });
    }

    /// All of them as one error, when there are any.
    pub(super) fn finish(&mut self) -> Result<(), HttpError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let details = std::mem::take(&mut self.0);
        let sentences: Vec<_> = details
            .iter()
            .map(|detail| format!("{}: {}", detail.argument_name, detail.help_message))
            .collect();
        Err(HttpError(ApiError::InvalidArguments { message: sentences.join("; "), details }))
    }
}

/// A JSON object's members, and what was found wrong with them. Absent and `null` are the same.
pub(super) struct Arguments {
    members: Map<String, Value>,
    problems: Problems,
}

impl Arguments {
    pub(super) fn new(members: Map<String, Value>) -> Self {
        Self { members, problems: Problems::default() }
    }

    /// Notes a problem.
    pub(super) fn refuse(&mut self, name: &str, reason: ArgumentReason, help: impl Into<String>) {
        self.problems.refuse(name, reason, help);
    }

    /// Notes a value outside what is allowed.
    pub(super) fn refuse_constraint(&mut self, name: &str, help: impl Into<String>) {
        self.refuse(name, ArgumentReason::Constraint, help);
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            // No store bears it.
            Value::String(text) if text.contains('\0') => {
                self.refuse_constraint(name, "must not contain the character NUL");
                None
            }
            Value::String(text) => Some(text),
            _ => {
                self.refuse_constraint(name, "must be a string");
                None
            }
        }
    }

    /// A string that must be there.
    pub(super) fn required_text(&mut self, name: &str) -> String {
        let before = self.problems.0.len();
        let text = self.text(name).unwrap_or_default();
        if text.is_empty() && self.problems.0.len() == before {
            self.refuse(name, ArgumentReason::Required, "is required");
        }
        text
    }

    /// A whole number of `unit`, within `range`.
    pub(super) fn number(
        &mut self,
        name: &str,
        unit: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.take(name)?;
        let number = whole(&value).filter(|number| range.contains(number));
        if number.is_none() {
            let help = format!("must be a number{unit}, {} to {}", range.start(), range.end());
            self.refuse_constraint(name, help);
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        if value.as_bool().is_none() {
            self.refuse_constraint(name, "must be true or false");
        }
        value.as_bool()
    }

    /// One of an enum's names.
    pub(super) fn named<T: DeserializeOwned>(&mut self, name: &str, names: &str) -> Option<T> {
        let value = serde_json::from_value(self.take(name)?).ok();
        if value.is_none() {
            self.refuse_constraint(name, format!("must be one of {names}"));
        }
        value
    }

    /// A map of strings.
    pub(super) fn text_map(&mut self, name: &str) -> Option<BTreeMap<String, String>> {
        let Value::Object(members) = self.take(name)? else {
            self.refuse_constraint(name, "must be an object of strings");
            return None;
        };
        let mut map = BTreeMap::new();
        for (key, value) in members {
            match value {
                Value::String(text) => drop(map.insert(key, text)),
                _ => self.refuse_constraint(name, format!("the value of {key:?} must be a string")),
            }
        }
        Some(map)
    }

    /// Any JSON object.
    pub(super) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(members) => Some(members),
            _ => {
                self.refuse_constraint(name, "must be an object");
                None
            }
        }
    }

    /// All problems as one error, when there are any.
    pub(super) fn finish(&mut self) -> Result<(), HttpError> {
        self.problems.finish()
    }
}

/// A whole number as JSON has it: `5.0` is one too. Larger ones than a double tells apart are no argument's.
fn whole(value: &Value) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let from_double = |number: f64| {
        let is_whole = number.fract() == 0.0 && (0.0..EXACT).contains(&number);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and in range")]
        is_whole.then_some(number as u64)
    };
    value.as_u64().or_else(|| from_double(value.as_f64()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::whole;

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (value, number) in [
            (json!(5), Some(5)),
            (json!(5.0), Some(5)),
            (json!(1e3), Some(1000)),
            (json!(-0.0), Some(0)),
            (json!(5.5), None),
            (json!(-5), None),
            (json!(1e300), None),
            (json!("5"), None),
        ] {
            assert_eq!(whole(&value), number, "{value}");
        }
    }
}
