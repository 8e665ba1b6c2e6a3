//! The failures of one blob's upload: what is to be done about each, and when it is enough.

use std::time::{Duration, SystemTime};

use reqwest::{Method, Response, StatusCode};

use super::error::ClientError;
use super::retry::{Retry, retry_after};

/// A step's failure, and what may help.
pub(super) struct Failure {
    pub(super) error: ClientError,
    pub(super) remedy: Remedy,
}

/// What may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing.
    None,
    /// The same again, after a wait that the registry may have asked for.
    Wait(Option<Duration>),
    /// A new upload session, at once.
    NewSession,
    /// Another attempt at once, which is counted already or cannot come often.
    Again,
}

impl Failure {
    /// The refusal in this answer.
    pub(super) async fn refused(method: Method, response: Response) -> Self {
        let asked = retry_after(response.headers(), SystemTime::now());
        let mut failure = Self::from(ClientError::refusal(&method, response).await);
        if let Remedy::Wait(wait) = &mut failure.remedy {
            *wait = asked;
        }
        failure
    }

    pub(super) fn with(self, remedy: Remedy) -> Self {
        Self { remedy, ..self }
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        self.error.status()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let remedy = match &error {
            error if error.is_transient() => Remedy::Wait(None),
            error if is_lost_session(error) => Remedy::NewSession,
            _ => Remedy::None,
        };
        Self { error, remedy }
    }
}

/// Registries lose sessions when they restart, or when another of them answers.
fn is_lost_session(error: &ClientError) -> bool {
    let ClientError::Registry { method, status, code, .. } = error else { return false };
    let told = matches!(code.as_str(), "BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID");
    // Nobody else has a word for it: in a session, what is not found is the session.
    let patch = *method == Method::PATCH && *status == StatusCode::NOT_FOUND;
    status.is_client_error() && (told || patch)
}

/// Counts failures, and waits between attempts.
pub(super) struct Patience<'a> {
    retry: &'a Retry,
    failures: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(retry: &'a Retry) -> Self {
        Self { retry, failures: 0 }
    }

    /// Something came of the last attempt, so what fails next is not more of the same.
    pub(super) fn renew(&mut self) {
        self.failures = 0;
    }

    /// Waits as long as a failure asks for. False: it is enough.
    pub(super) async fn lasts(&mut self, failure: &Failure) -> bool {
        let asked = match failure.remedy {
            Remedy::None => return false,
            Remedy::Again => return true,
            Remedy::NewSession => Some(Duration::ZERO),
            Remedy::Wait(asked) => asked,
        };
        self.failures += 1;
        let Some(delay) = self.retry.delay(self.failures, asked) else { return false };
        tracing::debug!(failures = self.failures, ?delay, error = %failure.error, "upload failed, trying again");
        tokio::time::sleep(delay).await;
        true
    }
}
