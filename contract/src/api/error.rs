//! Errors as callers see them: `{"type", "message", ...}`. `message` is never empty.

use serde::{Deserialize, Serialize};

/// An error body. The status that goes with each is [`ApiError::status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ApiError {
    /// 400: arguments are missing, unknown or outside their constraint.
    InvalidArguments {
        /// The sentence a user reads.
        message: String,
        /// One element per argument.
        details: Vec<ArgumentDetail>,
    },
    /// 401: no key, or not one that is known.
    DeniedAuthentication {
        /// The sentence a user reads.
        message: String,
    },
    /// 403: a known key that may not do this.
    PermissionsDenied {
        /// The sentence a user reads.
        message: String,
        /// What was refused.
        details: Vec<PermissionDetail>,
    },
    /// 403: a quota is used up.
    QuotasExceeded {
        /// The sentence a user reads.
        message: String,
        /// Which quota.
        details: Vec<QuotaDetail>,
    },
    /// 404: no such resource, or another organization's.
    NotFound {
        /// The sentence a user reads.
        message: String,
        /// Kind of resource, `function`.
        resource: String,
        /// Its id.
        resource_id: String,
    },
    /// 405: the path exists, the method does not.
    MethodNotAllowed {
        /// The sentence a user reads.
        message: String,
    },
    /// 409: the resource is changing.
    TransientState {
        /// The sentence a user reads.
        message: String,
        /// Kind of resource.
        resource: String,
        /// Its id.
        resource_id: String,
        /// Its state now.
        current_state: String,
    },
    /// 412: something must be done first.
    PreconditionFailed {
        /// The sentence a user reads.
        message: String,
    },
    /// 413: the body is larger than the limit.
    PayloadTooLarge {
        /// The sentence a user reads.
        message: String,
    },
    /// 423: an operator has locked it.
    Locked {
        /// The sentence a user reads.
        message: String,
    },
    /// 429: more requests than this key, or this address without a good key, may make. An extension.
    TooManyRequests {
        /// The sentence a user reads.
        message: String,
        /// Seconds to wait, as `Retry-After` has them too.
        retry_after: u64,
    },
    /// 500: our fault; the cause is in the log under the request id.
    Internal {
        /// The sentence a user reads.
        message: String,
    },
    /// 503: the database, or the bucket of archives, does not answer now; the same request may succeed a little later.
    Unavailable {
        /// The sentence a user reads.
        message: String,
    },
}

impl ApiError {
    /// HTTP status of this error.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidArguments { .. } => 400,
            Self::DeniedAuthentication { .. } => 401,
            Self::PermissionsDenied { .. } | Self::QuotasExceeded { .. } => 403,
            Self::NotFound { .. } => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::TransientState { .. } => 409,
            Self::PreconditionFailed { .. } => 412,
            Self::PayloadTooLarge { .. } => 413,
            Self::Locked { .. } => 423,
            Self::TooManyRequests { .. } => 429,
            Self::Internal { .. } => 500,
            Self::Unavailable { .. } => 503,
        }
    }

    /// One argument outside its constraint.
    #[must_use]
    pub fn argument(name: &str, reason: ArgumentReason, help: impl Into<String>) -> Self {
        let help_message = help.into();
        Self::InvalidArguments {
            message: format!("{name}: {help_message}"),
            details: vec![ArgumentDetail { argument_name: name.to_owned(), reason, help_message }],
        }
    }

    /// A resource that does not exist for the caller.
    #[must_use]
    pub fn not_found(resource: &str, id: &str) -> Self {
        Self::NotFound {
            message: format!("{resource} {id} was not found"),
            resource: resource.to_owned(),
            resource_id: id.to_owned(),
        }
    }
}

/// Why an argument is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ArgumentReason {
    /// It is missing.
    Required,
    /// It names something that does not exist.
    Unknown,
    /// It is outside what is allowed.
    Constraint,
}

/// One refused argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArgumentDetail {
    /// Its name as in the request.
    pub argument_name: String,
    /// Why.
    pub reason: ArgumentReason,
    /// What would be right.
    pub help_message: String,
}

/// One refused action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionDetail {
    /// Kind of resource.
    pub resource: String,
    /// What was tried.
    pub action: String,
}

/// One used-up quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuotaDetail {
    /// Kind of resource.
    pub resource: String,
    /// The quota.
    pub quota: u64,
    /// What is used.
    pub current: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_error_reads_as_the_contract_prints_it() {
        let error = ApiError::argument("timeout", ArgumentReason::Constraint, "a number of milliseconds");
        assert_eq!(
            serde_json::to_value(&error).unwrap(),
            serde_json::json!({
                "type": "invalid_arguments",
                "message": "timeout: a number of milliseconds",
                "details": [{"argument_name": "timeout", "reason": "constraint", "help_message": "a number of milliseconds"}],
            })
        );
        assert_eq!(error.status(), 400);
    }
}
