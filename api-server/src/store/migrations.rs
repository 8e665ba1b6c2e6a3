//! The tables, as numbered steps that only go forward.

use sqlx::{
    AnyPool, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

use super::StoreError;

const STEPS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/0001_initial.sql")),
    (2, "order of lists", include_str!("../migrations/0002_order_of_lists.sql")),
];

/// Runs the steps that the database has not seen.
pub(super) async fn run(pool: &AnyPool) -> Result<(), StoreError> {
    let steps = STEPS
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(steps).run(pool).await?;
    Ok(())
}
