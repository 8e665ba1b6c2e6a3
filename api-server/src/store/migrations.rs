//! The tables, as numbered steps that only go forward. A step is one text for both databases.

use sqlx::{
    AnyPool, AssertSqlSafe, SqlSafeStr as _, SqlStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::{Database, StoreError};

const STEPS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/0001_initial.sql")),
    (2, "order of lists", include_str!("../migrations/0002_order_of_lists.sql")),
    (3, "containers", include_str!("../migrations/0003_containers.sql")),
    (5, "names of keys", include_str!("../migrations/0005_names_of_keys.sql")),
    (6, "crons", include_str!("../migrations/0006_crons.sql")),
    (8, "usage", include_str!("../migrations/0008_usage.sql")),
    (9, "collection", include_str!("../migrations/0009_collection.sql")),
    (12, "order of applications", include_str!("../migrations/0012_order_of_applications.sql")),
    (13, "uploads past the server", include_str!("../migrations/0013_uploads_past_the_server.sql")),
];

/// Runs the steps that the database has not seen, all in one transaction, one program at a time.
pub(super) async fn run(
    writer: &AnyPool,
    begin: &'static str,
    database: &Database,
) -> Result<(), StoreError> {
    let steps = STEPS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, text_for(database, sql), false)
    });
    let mut migrator = Migrator::with_migrations(steps.collect());
    // The transaction has the lock of all writes.
    migrator.set_locking(false);
    let mut transaction = writer.begin_with(begin).await?;
    migrator.run(&mut *transaction).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) if found > newest() => {
            StoreError::Newer { found, known: newest() }
        }
        error => StoreError::Migrate(error),
    })?;
    Ok(transaction.commit().await?)
}

/// The version of the tables that this program makes.
pub(crate) fn newest() -> i64 {
    STEPS.iter().map(|(version, ..)| *version).max().unwrap_or_default()
}

/// In PostgreSQL text is ordered by its bytes, as in SQLite, whatever the database's locale; so lists have one order
/// and indexes survive an update of the C library.
fn text_for(database: &Database, sql: &'static str) -> SqlStr {
    match database {
        Database::Sqlite(_) => sql.into_sql_str(),
        Database::Postgres(_) => AssertSqlSafe(sql.replace(" TEXT", " TEXT COLLATE \"C\"")).into_sql_str(),
    }
}
