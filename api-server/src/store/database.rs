//! Where the store lies: a SQLite file, or a PostgreSQL database by its URL, whose password is never shown.

use std::{fmt, path::PathBuf, str::FromStr};

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;

/// What may stand behind the `?` of a URL, as libpq names it. Others are refused: a misspelt `sslmode` would
/// connect without TLS.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Where the store lies.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file, made when there is none.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(DatabaseUrl),
}

/// `postgres://user:password@host:port/database?sslmode=...`. Shown without user, password and parameters.
#[derive(Clone)]
pub struct DatabaseUrl {
    url: SecretString,
    place: String,
}

/// Why a text is no URL of a database. Says nothing of what is in it but a parameter's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Not a URL of PostgreSQL.
    #[error("the database's URL must be like postgres://user:password@host:5432/database")]
    Scheme,
    /// Not a URL.
    #[error("the database's URL cannot be read: {0}; a password's special characters are written as %XX")]
    Syntax(String),
    /// An unknown parameter.
    #[error("the database's URL has the parameter {0}; known are {known}", known = PARAMETERS.join(", "))]
    Parameter(String),
    /// A known parameter, with a value that it cannot have.
    #[error(
        "a parameter of the database's URL has a value that it cannot have; sslmode is one of disable, allow, prefer, require, verify-ca, verify-full"
    )]
    Value,
}

impl DatabaseUrl {
    /// The URL with all that is in it, for whoever connects and for a child's environment.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose_secret()
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(DatabaseUrlError::Scheme);
        }
        let mut url = Url::parse(text).map_err(|error| DatabaseUrlError::Syntax(error.to_string()))?;
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
            return Err(DatabaseUrlError::Parameter(name.into_owned()));
        }
        if !url.query_pairs().any(|(name, _)| name == "application_name") {
            url.query_pairs_mut().append_pair("application_name", "zipship");
        }
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| DatabaseUrlError::Value)?;
        let place = match options.get_socket() {
            Some(socket) => format!("{}, port {}", socket.display(), options.get_port()),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let database = options.get_database().unwrap_or_else(|| options.get_username()).to_owned();
        Ok(Self { url: SecretString::from(String::from(url)), place: format!("{database} at {place}") })
    }
}

/// Database, host and port.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_as_database_host_and_port() {
        for (text, shown) in [
            ("postgres://zip:hunter2@db.test:6432/ship", "ship at db.test:6432"),
            ("postgresql://zip:hunter2@[::1]/ship?sslmode=require", "ship at [::1]:5432"),
            (
                "postgres:///ship?user=zip&password=hunter2&host=/run/postgresql",
                "ship at /run/postgresql, port 5432",
            ),
            (
                "postgres://%2Frun%2Fpostgresql:6000/ship?password=hunter2",
                "ship at /run/postgresql, port 6000",
            ),
            ("postgres://zip:hunter2@db.test:6432", "zip at db.test:6432"),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert!(!format!("{url:?}").contains("hunter2"));
            assert!(url.expose().contains("hunter2") && url.expose().contains("application_name=zipship"));
        }
    }

    #[test]
    fn what_is_no_url_of_a_database_is_refused_without_telling_it() {
        for (text, error) in [
            ("mysql://u:hunter2@h/d", DatabaseUrlError::Scheme),
            ("hunter2", DatabaseUrlError::Scheme),
            ("postgres://u:hunter2@h:port/d", DatabaseUrlError::Syntax("invalid port number".into())),
            ("postgres://u:p@h/d?sslmod=require&x=hunter2", DatabaseUrlError::Parameter("sslmod".into())),
            ("postgres://u:p@h/d?sslmode=hunter2", DatabaseUrlError::Value),
        ] {
            let found = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("hunter2"));
        }
    }
}
