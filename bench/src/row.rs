//! A result: one row a peer.

use serde::Serialize;

use crate::{machine, peer::Peer};

/// A row of `results.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) peer: &'static str,
    /// Null when the peer could not be had: never a remembered number.
    pub(crate) peer_value: Option<f64>,
    /// How many times better ours is.
    pub(crate) ratio: Option<f64>,
    pub(crate) machine: String,
    pub(crate) date: String,
    /// Why there is no `peer_value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Which of two numbers is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Rates.
    More,
    /// Times and sizes.
    Less,
}

impl Row {
    /// A time: smaller is better, so the ratio is the peer's over ours.
    pub(crate) fn milliseconds(name: &'static str, value: f64, peer: Peer) -> Self {
        Self::new(name, value, "ms", Better::Less, peer)
    }

    /// A row whose unit and sense are its own.
    pub(crate) fn new(
        name: &'static str,
        value: f64,
        unit: &'static str,
        better: Better,
        peer: Peer,
    ) -> Self {
        let value = rounded(value);
        let (peer_value, reason) = match peer.value {
            Ok(value) => (Some(rounded(value)), None),
            Err(reason) => (None, Some(reason)),
        };
        let ratio = peer_value.map(|peer| match better {
            Better::More => rounded(value / peer),
            Better::Less => rounded(peer / value),
        });
        // Nothing divided by nothing is no number.
        let ratio = ratio.filter(|ratio| ratio.is_finite());
        let (machine, date) = (machine::description(), machine::now());
        Self { name, value, unit, peer: peer.name, peer_value, ratio, machine, date, reason }
    }
}

/// The rows for people.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<30} {:>10} {:<5} {:<32} {:>10} {:>7}\n",
        "name", "ours", "unit", "peer", "peer's", "ratio"
    );
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        text += &format!(
            "{:<30} {:>10} {:<5} {:<32} {:>10} {:>7}\n",
            row.name,
            row.value,
            row.unit,
            row.peer,
            number(row.peer_value),
            number(row.ratio)
        );
        if let Some(reason) = &row.reason {
            text += &format!("{:<30} no peer: {reason}\n", "");
        }
    }
    text
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_says_how_many_times_faster_ours_is() {
        let row = Row::milliseconds("x", 50.0, Peer { name: "p", value: Ok(125.0) });
        assert_eq!((row.peer_value, row.ratio), (Some(125.0), Some(2.5)));
    }

    #[test]
    fn of_rates_more_is_better() {
        let row = Row::new("x", 50.0, "1/s", Better::More, Peer { name: "p", value: Ok(25.0) });
        assert_eq!((row.unit, row.ratio), ("1/s", Some(2.0)));
        let nothing = Row::new("x", 0.0, "us", Better::Less, Peer { name: "p", value: Ok(0.0) });
        assert_eq!(nothing.ratio, None);
    }

    #[test]
    fn a_peer_that_cannot_be_had_is_null_with_a_reason() {
        let row = Row::milliseconds("x", 50.0, Peer { name: "p", value: Err("not installed".into()) });
        let json = serde_json::to_value(&row).unwrap();
        assert!(json["peer_value"].is_null() && json["ratio"].is_null(), "{json}");
        assert_eq!(json["reason"], "not installed");
        assert!(table(&[row]).contains("not installed"));
    }
}
