//! Why the store did not do what it was asked.

use std::{future::Future, time::Duration};

const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Why a read or write failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database itself.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// The database does not answer now. A write may have been done nevertheless, when it broke off at its end.
    #[error("the database does not answer: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// No connection at the start.
    #[error("the database {place} cannot be reached: {source}")]
    Unreachable {
        /// Database, host and port.
        place: String,
        /// What went wrong.
        source: sqlx::Error,
    },
    /// A server has it already.
    #[error(
        "another zipship serves from the database {place}: {holder}; give each server a database of its own"
    )]
    InUse {
        /// Database, host and port.
        place: String,
        /// The other one.
        holder: String,
    },
    /// A newer program made the tables.
    #[error(
        "the database's tables are of version {found}, made by a newer zipship; this one knows version {known}"
    )]
    Newer {
        /// Version of the tables.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The tables are not the ones this program knows.
    #[error("the database's tables cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A secret does not open.
    #[error(transparent)]
    Sealed(#[from] crate::secrets::OpenError),
    /// The key file cannot be used, so nothing can be sealed.
    #[error(transparent)]
    KeyFile(#[from] crate::secrets::KeyFileError),
    /// The key file is another database's, or was made anew.
    #[error(
        "the database has secrets sealed with key {key}, which the key file {path} does not have: put back the key file that belongs to this database"
    )]
    OtherKeys {
        /// The key that is wanted.
        key: crate::secrets::KeyId,
        /// The key file.
        path: std::path::PathBuf,
    },
    /// A value cannot be sealed with another key, since it does not open.
    #[error("the secret of row {row} of {table} cannot be sealed anew: {cause}")]
    Unsealable {
        /// Which table.
        table: &'static str,
        /// Id of the row.
        row: String,
        /// Why it does not open.
        cause: crate::secrets::OpenError,
    },
    /// A column holds what this program never wrote.
    #[error("{column} holds {value:?}, which this program does not know")]
    Corrupt {
        /// Which column.
        column: &'static str,
        /// What is in it.
        value: String,
    },
    /// A write whose name is not in [`super::WRITES`].
    #[error("the write {0:?} is not listed")]
    UnlistedWrite(&'static str),
    /// No such row for this caller.
    #[error("{resource} {id} was not found")]
    Missing {
        /// Kind of resource, `function`.
        resource: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The name is taken.
    #[error("a {resource} named {name:?} already exists")]
    Duplicate {
        /// Kind of resource.
        resource: &'static str,
        /// The name.
        name: String,
    },
    /// The resource's state does not bear this now.
    #[error("{resource} {id} is {state}")]
    Transient {
        /// Kind of resource.
        resource: &'static str,
        /// Its id.
        id: String,
        /// Its state, as the API names it.
        state: String,
    },
    /// An operator has locked it.
    #[error("{resource} {id} is locked")]
    Locked {
        /// Kind of resource.
        resource: &'static str,
        /// Its id.
        id: String,
    },
    /// As many as there may be.
    #[error("there are {current} {resource}s already; at most {quota} are allowed")]
    Quota {
        /// Kind of resource.
        resource: &'static str,
        /// How many there may be.
        quota: u64,
        /// How many there are.
        current: u64,
    },
    /// A deploy without an archive.
    #[error("nothing was uploaded for function {0}")]
    NothingUploaded(String),
    /// The deploy went on without this worker: superseded, finished, or claimed by another.
    #[error("deploy {id} is no longer in attempt {attempt}: it was superseded, finished or claimed anew")]
    Stale {
        /// The deploy.
        id: String,
        /// The attempt that came too late.
        attempt: u32,
    },
    /// A step that the diagram of deploys does not have.
    #[error("a deploy does not go from {from} to {to}")]
    Forbidden {
        /// State it is in.
        from: &'static str,
        /// State that was asked for.
        to: &'static str,
    },
}

impl StoreError {
    /// A row that is not there, or not for this caller.
    #[must_use]
    pub fn missing(resource: &'static str, id: &str) -> Self {
        Self::Missing { resource, id: id.to_owned() }
    }

    /// [`StoreError::Duplicate`] where the database says that a unique value is taken, else as it is.
    pub(super) fn or_duplicate(error: sqlx::Error, resource: &'static str, name: &str) -> Self {
        let taken = error.as_database_error().is_some_and(|error| error.is_unique_violation());
        if taken { Self::Duplicate { resource, name: name.to_owned() } } else { error.into() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) { Self::Unavailable(error) } else { Self::Database(error) }
    }
}

/// Does what may be repeated until the database answers: for work that nobody waits for with a deadline of his own.
///
/// # Errors
/// `work`'s own, but for [`StoreError::Unavailable`].
pub async fn persist<T, F: Future<Output = Result<T, StoreError>>>(
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError> {
    loop {
        match work().await {
            Err(error @ StoreError::Unavailable(_)) => {
                tracing::warn!(%error, "this is tried again");
                tokio::time::sleep(TRY_AGAIN).await;
            }
            done => return done,
        }
    }
}

/// Whether the same may succeed a little later: there is no connection, or it broke.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed => true,
        // PostgreSQL: connection exceptions, too many connections, a lock that did not come free, a shutdown.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || ["53300", "55P03", "57P01", "57P02", "57P03", "57P05"].contains(&&*code)
        }),
        _ => false,
    }
}
