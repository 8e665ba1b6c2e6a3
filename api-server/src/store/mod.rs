//! The store: the only truth about what should be.
//!
//! One writer, many readers. Every write is one named transaction through [`Store::write`]: it waits for the
//! one writer connection, runs `BEGIN IMMEDIATE`, and passes the kill points `<name>.before` (all statements
//! done, nothing committed) and `<name>.after` (committed). Reads go through a pool and never wait for writes
//! (WAL). Dropping a write's future rolls back.
//!
//! One SQL text through `sqlx::Any`, in the subset that SQLite and PostgreSQL both read. `Any` bears text, 64-bit
//! integers and bytes: ids are text, times are milliseconds since the Unix epoch.

pub mod deploys;
mod error;
mod functions;
mod keys;
mod migrations;
mod namespaces;
mod registry_namespaces;
mod revisions;
mod row;
mod tenant;
mod uploads;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    AnyConnection, AnyPool,
    any::{AnyConnectOptions, AnyPoolOptions},
};

pub use error::StoreError;
pub use functions::{FunctionRow, FunctionUpdate, NewFunction, Updated};
pub(crate) use keys::hex;
pub use keys::{Bootstrap, BootstrapError, hash_key};
pub use namespaces::{NamespaceRow, NewNamespace};
pub use registry_namespaces::RegistryNamespaceRow;
pub use revisions::{Launch, Revision};
pub(crate) use row::name_of;
pub use tenant::{Held, Owned, Selection, Tenant};
pub use uploads::{Archive, Upload};

use crate::{killpoint, secrets::Sealer};

/// Every write there is, by name. [`Store::write`] refuses others.
pub const WRITES: &[&str] = &[
    "organization.bootstrap",
    "key.create",
    "namespace.create",
    "namespace.ready",
    "namespace.fail",
    "namespace.update",
    "namespace.delete",
    "namespace.gone",
    "function.create",
    "function.update",
    "function.delete",
    "function.gone",
    "upload.create",
    "upload.complete",
    "deploy.request",
    "deploy.release",
    "deploy.claim",
    "deploy.renew",
    "deploy.fetching",
    "deploy.building",
    "deploy.pushing",
    "deploy.verifying",
    "deploy.switching",
    "deploy.finish",
    "revision.create",
];

const READERS: u32 = 4;
const WAIT_FOR_WRITER: Duration = Duration::from_secs(30);

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: AnyPool,
    readers: AnyPool,
    sealer: Arc<Sealer>,
}

impl Store {
    /// Opens the SQLite database at `path`, makes it when there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be opened, [`StoreError::Migrate`] when its tables are not ours.
    pub async fn open(path: &Path, sealer: Sealer) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let url = format!(
            "sqlite://{}?mode=rwc",
            percent_encoding::utf8_percent_encode(&path.to_string_lossy(), PATH_IN_URL)
        );
        let options: AnyConnectOptions = url.parse()?;
        // A pool of one is a queue for the one writer; it also replaces a connection that broke.
        let writer = pool(1).acquire_timeout(WAIT_FOR_WRITER).connect_with(options.clone()).await?;
        migrations::run(&writer).await?;
        let readers = pool(READERS).connect_with(options).await?;
        Ok(Self { writer, readers, sealer: Arc::new(sealer) })
    }

    /// Runs one write of [`WRITES`] as a transaction; what `work` answers is answered once it is committed.
    ///
    /// # Errors
    /// `work`'s own (then nothing is written), [`StoreError::Database`], [`StoreError::UnlistedWrite`].
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        F: AsyncFnOnce(&mut AnyConnection) -> Result<T, StoreError>,
    {
        if !WRITES.contains(&name) {
            return Err(StoreError::UnlistedWrite(name));
        }
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let value = work(&mut transaction).await?;
        killpoint::hit(&format!("{name}.before"));
        transaction.commit().await?;
        killpoint::hit(&format!("{name}.after"));
        Ok(value)
    }

    /// Connections for reading.
    #[must_use]
    pub fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// What opens and seals secret columns.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Closes all connections; the write-ahead log is merged into the database.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

const PATH_IN_URL: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'?').add(b'#').add(b'%').add(b'"').add(b'<').add(b'>');

fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).test_before_acquire(false).after_connect(
        |connection, _| {
            Box::pin(async move {
                // FULL: a deploy or a key that was answered is not lost in a power cut. The timeout is a net for
                // other programs that open the file; we never wait for ourselves.
                for pragma in [
                    "PRAGMA busy_timeout = 5000",
                    "PRAGMA journal_mode = WAL",
                    "PRAGMA synchronous = FULL",
                    "PRAGMA foreign_keys = ON",
                ] {
                    sqlx::query(pragma).execute(&mut *connection).await?;
                }
                Ok(())
            })
        },
    )
}

/// Now, in milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A new id, UUID v4.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
