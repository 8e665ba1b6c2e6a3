//! What a process says of an error.

use hyper::HeaderMap;
use serde::Deserialize;

use crate::request::answer::Refusal;
use crate::worker::StartFailure;

/// The type's own header; the body's key wins.
const TYPE_HEADER: &str = "lambda-runtime-function-error-type";

#[derive(Debug, Clone, Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Report {
    pub(super) error_message: String,
    pub(super) error_type: String,
}

impl Report {
    /// The body is JSON by the interface; what is not is taken as the message.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut report: Self = serde_json::from_slice(body).unwrap_or_else(|_| Self {
            error_message: String::from_utf8_lossy(body).trim().to_owned(),
            error_type: String::new(),
        });
        if report.error_type.is_empty() {
            let said = headers.get(TYPE_HEADER).and_then(|value| value.to_str().ok());
            said.unwrap_or("Error").clone_into(&mut report.error_type);
        }
        report
    }

    pub(super) fn refusal(self) -> Refusal {
        Refusal::thrown("Runtime.HandlerError", &self.error_type, self.error_message)
    }

    pub(super) fn start_failure(self) -> StartFailure {
        StartFailure { message: self.error_message, error_type: self.error_type, is_final: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_decides_and_the_header_helps() {
        let mut headers = HeaderMap::new();
        headers.insert(TYPE_HEADER, "Runtime.Unknown".parse().expect("a value"));
        for (body, message, kind) in [
            (&br#"{"errorMessage":"m","errorType":"T","stackTrace":[]}"#[..], "m", "T"),
            (br#"{"errorMessage":"m"}"#, "m", "Runtime.Unknown"),
            (b"plain words\n", "plain words", "Runtime.Unknown"),
        ] {
            let report = Report::read(&headers, body);
            assert_eq!((report.error_message.as_str(), report.error_type.as_str()), (message, kind));
        }
        assert_eq!(Report::read(&HeaderMap::new(), b"").error_type, "Error");
    }
}
