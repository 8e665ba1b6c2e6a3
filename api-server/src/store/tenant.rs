//! Whose rows: the one place where a query is bound to an organization and a region. A row of another tenant is not
//! there, in the same words as one that never was.

use contract::api::{OrderBy, Page};
use sqlx::{
    Any, AnyConnection, AssertSqlSafe, Row as _,
    any::{AnyArguments, AnyRow},
    query::Query,
};

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
    /// Only rows made from the first of these on and before the second, in milliseconds since the Unix epoch.
    pub created: Option<(i64, i64)>,
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
        let instants: Vec<i64> = selection.created.iter().flat_map(|(from, to)| [*from, *to]).collect();
        let mut parameters = values.len();
        for operator in [">=", "<"].iter().take(instants.len()) {
            parameters += 1;
            condition += &format!(" AND {}.created {operator} ${parameters}", T::ALIAS);
        }
        let mut tx = self.readers.begin().await?;
        let total = bound_to(format!("SELECT COUNT(*) AS n FROM {condition}"), &values, &instants);
        let total = count(&total.fetch_one(&mut *tx).await?)?;
        let window = Window::of(selection.page, total);
        if window.take == 0 {
            return Ok((Vec::new(), total));
        }
        let order = if window.backwards { selection.order.reversed() } else { selection.order };
        let clause = order_clause(order, T::ALIAS);
        // What is passed over is passed over in the index: of those rows nothing else is read.
        let sql = format!(
            "SELECT {columns} FROM (SELECT {alias}.id FROM {condition} {clause} LIMIT ${limit} OFFSET ${offset}) page,
             {from} WHERE {alias}.id = page.id {clause}",
            columns = T::COLUMNS,
            alias = T::ALIAS,
            from = T::FROM,
            limit = parameters + 1,
            offset = parameters + 2,
        );
        let chosen = bound_to(sql, &values, &instants).bind(signed(window.take)).bind(signed(window.skip));
        let mut rows = chosen.fetch_all(&mut *tx).await?;
        if window.backwards {
            rows.reverse();
        }
        Ok((rows.iter().map(|row| T::read(row, &self.sealer)).collect::<Result<_, _>>()?, total))
    }
}

/// The rows of a page, as they are read from the nearer end of the list: a page near the end costs what one near the
/// beginning does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    backwards: bool,
    skip: u64,
    take: u64,
}

impl Window {
    /// Of a list with so many rows. No page: all of them.
    fn of(page: Option<Page>, total: u64) -> Self {
        let Some(page) = page else { return Self { backwards: false, skip: 0, take: total } };
        let before = page.offset().min(total);
        let take = u64::from(page.size).min(total - before);
        let after = total - before - take;
        let backwards = after < before;
        Self { backwards, skip: before.min(after), take }
    }
}

/// A query with these values for its first parameters.
fn bound_to(sql: String, values: &[String], instants: &[i64]) -> Query<'static, Any, AnyArguments> {
    let query = values.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| query.bind(value.clone()));
    instants.iter().fold(query, |query, instant| query.bind(*instant))
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

/// Refuses a new row of the kind when the tenant has as many as it may. Whoever writes is alone, so of two that would
/// both be the last one, one is refused.
///
/// # Errors
/// [`StoreError::Quota`].
pub(super) async fn require_room<T: Owned>(
    tx: &mut AnyConnection,
    tenant: &Tenant,
    quota: u64,
) -> Result<(), StoreError> {
    let sql = format!("SELECT COUNT(*) AS n FROM {} WHERE {}", T::FROM, bound::<T>(1));
    let counted = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.organization_id.clone())
        .bind(tenant.region.clone())
        .fetch_one(tx)
        .await?;
    let current = count(&counted)?;
    if current < quota { Ok(()) } else { Err(StoreError::Quota { resource: T::KIND, quota, current }) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_the_page_whichever_end_it_is_read_from() {
        for total in 0..12_u64 {
            let rows: Vec<u64> = (0..total).collect();
            for (number, size) in (1..8).flat_map(|number| (1..6).map(move |size| (number, size))) {
                let page = Page { number, size };
                let Window { backwards, skip, take } = Window::of(Some(page), total);
                let cut = |rows: Vec<u64>| -> Vec<u64> {
                    rows.into_iter().skip(skip as usize).take(take as usize).collect()
                };
                let mut read =
                    if backwards { cut(rows.iter().rev().copied().collect()) } else { cut(rows.clone()) };
                if backwards {
                    read.reverse();
                }
                let from = (page.offset() as usize).min(rows.len());
                let to = (from + size as usize).min(rows.len());
                assert_eq!(read, rows[from..to], "page {number} of {size}, {total} rows");
                assert!(skip <= total / 2, "page {number} of {size}, {total} rows: {skip} are passed over");
            }
        }
        assert_eq!(Window::of(None, 7), Window { backwards: false, skip: 0, take: 7 });
    }
}
