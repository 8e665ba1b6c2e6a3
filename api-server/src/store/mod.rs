//! The store: the only truth about what should be.
//!
//! One writer, many readers. Every write is one named transaction through [`Store::write`]: it waits for the
//! one writer connection, begins so that no other write is under way ([`sqlite::BEGIN`], [`postgres::BEGIN`]), and
//! passes the kill points `<name>.before` (all statements done, nothing committed) and `<name>.after` (committed).
//! Reads go through a pool and never wait for writes. Dropping a write's future rolls back.
//!
//! One SQL text through `sqlx::Any`, in the subset that SQLite and PostgreSQL both read, with `$1` as both do. `Any`
//! bears text, 64-bit integers and bytes: ids are text, times are milliseconds since the Unix epoch. PostgreSQL's
//! text has no NUL: [`row::storable`].

mod applications;
mod bootstrap;
mod collection;
mod crons;
mod database;
pub mod deploys;
mod error;
mod keys;
mod locks;
mod migrations;
mod namespaces;
mod needed;
mod postgres;
mod registry_namespaces;
mod revisions;
mod row;
mod sealed;
mod sqlite;
mod tenant;
mod uploads;
mod usage;

use std::sync::Arc;

use sqlx::{AnyConnection, AnyPool};

pub use applications::{
    Application, Code, Columns, ContainerRow, Deleting, Fields, FunctionRow, Image, Kind, NewApplication,
    Settings, Updated, Writes,
};
pub use bootstrap::{Bootstrap, BootstrapError};
pub use collection::RetiredImage;
pub use crons::{Call, CronChange, CronRow, End, NewCron, Run, Start, Tick};
pub use database::{Database, DatabaseUrl, DatabaseUrlError};
pub use error::{StoreError, persist};
pub(crate) use keys::hex;
pub use keys::{KeyRow, NewKey, hash_key};
pub use locks::Locked;
pub(crate) use migrations::newest as newest_tables;
pub use namespaces::{NamespaceRow, NewNamespace};
pub use needed::{NeededFiles, NeededImage};
use postgres::Role;
pub use registry_namespaces::RegistryNamespaceRow;
pub use revisions::{Launch, Revision, Running};
pub(crate) use row::name_of;
pub use sealed::SEALED;
pub use tenant::{Held, Owned, Selection, Tenant};
pub use uploads::{Archive, Known, Upload};
pub use usage::{DAY_MS, UsageDelta, UsageRow};

use crate::{killpoint, secrets::Sealer};

/// Every write there is, by name. [`Store::write`] refuses others.
pub const WRITES: &[&str] = &[
    "organization.bootstrap",
    "key.create",
    "key.revoke",
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
    "container.create",
    "container.update",
    "container.delete",
    "container.gone",
    "upload.create",
    "upload.complete",
    "upload.forget",
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
    "image.collected",
    "cron.create",
    "cron.update",
    "cron.delete",
    "cron.start",
    "cron.finish",
    "cron.recover",
    "secrets.reseal",
    "usage.add",
    "lock.set",
    "lock.clear",
];

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: AnyPool,
    readers: AnyPool,
    begin: &'static str,
    sealer: Arc<Sealer>,
}

impl Store {
    /// Opens the store for the one server on it: makes it when there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::InUse`] when another server has it, [`StoreError::Newer`] and
    /// [`StoreError::Migrate`] when its tables are not ours, [`StoreError::Database`].
    pub async fn serve(database: &Database, sealer: Sealer) -> Result<Self, StoreError> {
        Self::connect(database, sealer, Role::Server).await
    }

    /// Opens the store for a command, beside a server or without one.
    ///
    /// # Errors
    /// As for [`Store::serve`], but for [`StoreError::InUse`].
    pub async fn open(database: &Database, sealer: Sealer) -> Result<Self, StoreError> {
        Self::connect(database, sealer, Role::Command).await
    }

    async fn connect(database: &Database, sealer: Sealer, role: Role) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (begin, (writer, readers)) = match database {
            // The data directory's own lock keeps a second server away.
            Database::Sqlite(path) => (sqlite::BEGIN, sqlite::pools(path).await?),
            Database::Postgres(url) => (postgres::BEGIN, postgres::pools(url, role).await?),
        };
        migrations::run(&writer, begin, database).await?;
        Ok(Self { writer, readers, begin, sealer: Arc::new(sealer) })
    }

    /// Runs one write of [`WRITES`] as a transaction; what `work` answers is answered once it is committed.
    ///
    /// # Errors
    /// `work`'s own (then nothing is written), [`StoreError::Database`], [`StoreError::KeyFile`],
    /// [`StoreError::UnlistedWrite`].
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        F: AsyncFnOnce(&mut AnyConnection) -> Result<T, StoreError>,
    {
        if !WRITES.contains(&name) {
            return Err(StoreError::UnlistedWrite(name));
        }
        let mut transaction = self.writer.begin_with(self.begin).await?;
        // With the writer's lock: what is sealed from here on has the key that a rotation whose writes come later
        // has put into the file.
        self.sealer.keys().refresh()?;
        let value = work(&mut transaction).await?;
        killpoint::hit(&format!("{name}.before"));
        transaction.commit().await?;
        killpoint::hit(&format!("{name}.after"));
        Ok(value)
    }

    /// Whether the database answers now.
    ///
    /// # Errors
    /// When it does not.
    pub async fn answers(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.readers).await?;
        Ok(())
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

    /// Closes all connections; SQLite's write-ahead log is merged into the database.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
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
