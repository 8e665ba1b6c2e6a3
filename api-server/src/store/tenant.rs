//! Whose rows: the one place where a query is bound to an organization and a region. A row of another tenant is not
//! there, in the same words as one that never was.

use contract::api::{OrderBy, Page};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _, any::AnyRow};

use super::{
    Store, StoreError, now_ms,
    row::{count, signed},
};
use crate::secrets::Sealer;

/// What a caller reaches: the rows of one organization in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Owner.
    pub organization_id: String,
    /// Region.
    pub region: String,
}

/// A kind of row that belongs to a tenant. `FROM` brings in, under `OWNER`, the table with `organization_id` and
/// `region`; every query below names both.
pub trait Owned: Sized {
    /// As errors name it, `function`.
    const KIND: &'static str;
    /// Its table.
    const TABLE: &'static str;
    /// What its table is called in `FROM`; has `id`, `created`, and `name` where lists are ordered by it.
    const ALIAS: &'static str;
    /// What the table with `organization_id` and `region` is called in `FROM`.
    const OWNER: &'static str;
    /// Columns that [`Owned::read`] wants.
    const COLUMNS: &'static str;
    /// Table and joins.
    const FROM: &'static str;

    /// The row, its secrets opened.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Sealed`].
    fn read(row: &AnyRow, sealer: &Sealer) -> Result<Self, StoreError>;

    /// What forbids a write to it, if anything does.
    fn held(&self) -> Option<Held>;
}

/// What forbids a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// An operator locked it.
    Locked,
    /// It is going.
    Deleting,
}

/// Which rows of a list, in which order.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Columns of the row's own table that must equal a value. The names are ours, never a caller's.
    pub filters: Vec<(&'static str, String)>,
    /// Order; ties are broken by id.
    pub order: OrderBy,
    /// `None`: all.
    pub page: Option<Page>,
}

impl Store {
    /// The tenant's row of this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for unknown ids and for those of others alike.
    pub async fn get<T: Owned>(&self, tenant: &Tenant, id: &str) -> Result<T, StoreError> {
        require(&mut *self.readers.acquire().await?, &self.sealer, tenant, id).await
    }

    /// The tenant's rows of a selection, and how many match in all, both as they were at one moment.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn list<T: Owned>(
        &self,
        tenant: &Tenant,
        selection: &Selection,
    ) -> Result<(Vec<T>, u64), StoreError> {
        if selection.filters.iter().any(|(_, value)| !findable(value)) {
            return Ok((Vec::new(), 0));
        }
        let mut condition = format!("{} WHERE {}", T::FROM, bound::<T>(1));
        let mut values = vec![tenant.organization_id.clone(), tenant.region.clone()];
        for (column, value) in &selection.filters {
            values.push(value.clone());
            condition += &format!(" AND {}.{column} = ${}", T::ALIAS, values.len());
        }
        let sql = format!(
            "SELECT {} FROM {condition} {} LIMIT ${} OFFSET ${}",
            T::COLUMNS,
            order_clause(selection.order, T::ALIAS),
            values.len() + 1,
            values.len() + 2
        );
        let mut counted = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM {condition}")));
        let mut chosen = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            counted = counted.bind(value.clone());
            chosen = chosen.bind(value);
        }
        let mut tx = self.readers.begin().await?;
        let total = count(&counted.fetch_one(&mut *tx).await?)?;
        let rows = chosen
            .bind(selection.page.map_or(i64::MAX, |page| i64::from(page.size)))
            .bind(selection.page.map_or(0, |page| signed(page.offset())))
            .fetch_all(&mut *tx)
            .await?;
        Ok((rows.iter().map(|row| T::read(row, &self.sealer)).collect::<Result<_, _>>()?, total))
    }
}

/// The tenant's row of this id, on any connection.
pub(super) async fn require<T: Owned>(
    connection: &mut AnyConnection,
    sealer: &Sealer,
    tenant: &Tenant,
    id: &str,
) -> Result<T, StoreError> {
    if !findable(id) {
        return Err(StoreError::missing(T::KIND, id));
    }
    let sql =
        format!("SELECT {} FROM {} WHERE {} AND {}.id = $3", T::COLUMNS, T::FROM, bound::<T>(1), T::ALIAS);
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.organization_id.clone())
        .bind(tenant.region.clone())
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::missing(T::KIND, id))?;
    T::read(&row, sealer)
}

/// Whether a stored text can equal this one: none has a NUL, and PostgreSQL does not even compare with one.
fn findable(text: &str) -> bool {
    !text.contains('\0')
}

/// [`require`] of a row that may be written to.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`].
pub(super) async fn require_writable<T: Owned>(
    connection: &mut AnyConnection,
    sealer: &Sealer,
    tenant: &Tenant,
    id: &str,
) -> Result<T, StoreError> {
    let row: T = require(connection, sealer, tenant, id).await?;
    match row.held() {
        None => Ok(row),
        Some(Held::Locked) => Err(StoreError::Locked { resource: T::KIND, id: id.to_owned() }),
        Some(Held::Deleting) => {
            Err(StoreError::Transient { resource: T::KIND, id: id.to_owned(), state: "deleting".to_owned() })
        }
    }
}

/// When a new row of the kind was made: now, but after every other of its kind, so that it is the last one of its
/// list whatever the clock does, and pages do not shift under a caller who reads them.
pub(super) async fn stamp<T: Owned>(tx: &mut AnyConnection) -> Result<i64, StoreError> {
    let sql = format!("SELECT COALESCE(MAX(created), 0) AS last FROM {}", T::TABLE);
    let last: i64 = sqlx::query(AssertSqlSafe(sql)).fetch_one(tx).await?.try_get("last")?;
    Ok(now_ms().max(last.saturating_add(1)))
}

/// Binds to the tenant, whose organization and region are the parameters from `first` on.
fn bound<T: Owned>(first: u32) -> String {
    format!("{0}.organization_id = ${first} AND {0}.region = ${1}", T::OWNER, first + 1)
}

fn order_clause(order: OrderBy, table: &str) -> String {
    let (column, direction) = match order {
        OrderBy::CreatedAtAsc => ("created", "ASC"),
        OrderBy::CreatedAtDesc => ("created", "DESC"),
        OrderBy::NameAsc => ("name", "ASC"),
        OrderBy::NameDesc => ("name", "DESC"),
    };
    format!("ORDER BY {table}.{column} {direction}, {table}.id {direction}")
}
