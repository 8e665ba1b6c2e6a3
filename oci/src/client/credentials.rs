//! Who the client is, and secrets that do not print.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Who the client is to a registry. `Debug` never shows the password.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A name and a password, sent to the registry itself or to the token service that it names.
    Basic {
        /// The name.
        user: String,
        /// The password or key.
        password: String,
    },
    /// A token that the registry's token service exchanges for others (OAuth's `refresh_token`).
    Identity {
        /// The token.
        token: String,
    },
    /// A token for the registry itself.
    Bearer {
        /// The token.
        token: String,
    },
}

impl Credentials {
    /// The `Authorization` that a registry gets unasked, when there is anything to say.
    pub(super) fn unasked(&self) -> Option<Secret> {
        match self {
            Self::Bearer { token } => Some(Secret(format!("Bearer {token}"))),
            _ => self.basic(),
        }
    }

    /// Name and password as the value of an `Authorization` header.
    pub(super) fn basic(&self) -> Option<Secret> {
        match self {
            Self::Anonymous | Self::Identity { .. } | Self::Bearer { .. } => None,
            Self::Basic { user, password } => {
                Some(Secret(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { user, .. } => {
                f.debug_struct("Basic").field("user", user).field("password", &"[hidden]").finish()
            }
            Self::Identity { .. } => f.write_str("Identity([hidden])"),
            Self::Bearer { .. } => f.write_str("Bearer([hidden])"),
        }
    }
}

/// A text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_print() {
        let credentials = Credentials::Basic { user: "me".into(), password: "hunter2".into() };
        assert!(!format!("{credentials:?}").contains("hunter2"));
        let header = credentials.basic().unwrap();
        assert_eq!(header.0, "Basic bWU6aHVudGVyMg==");
        assert!(!format!("{header:?}").contains("bWU6"));
        for tokens in [
            Credentials::Identity { token: "hunter2".into() },
            Credentials::Bearer { token: "hunter2".into() },
        ] {
            assert!(!format!("{tokens:?}").contains("hunter2"));
        }
    }
}
