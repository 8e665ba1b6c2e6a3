//! Functions. A function is `created`, by a deploy `pending` and then `ready` or `error`, then `deleting`, then gone.

mod rows;

use contract::api::{FunctionStatus, NamespaceStatus, Privacy};
use sqlx::{AssertSqlSafe, Row as _};

use super::{
    Archive, NamespaceRow, Owned as _, Store, StoreError, Tenant, deploys,
    row::name_of,
    tenant::{require, require_writable, stamp},
};
use crate::secrets::SecretMap;

pub(super) use rows::mark_deleting;
use rows::set_fields;

/// A function as stored, its own variables opened.
#[derive(Debug, Clone)]
pub struct FunctionRow {
    /// UUID v4.
    pub id: String,
    /// Its namespace.
    pub namespace_id: String,
    /// Owner.
    pub organization_id: String,
    /// Region.
    pub region: String,
    /// First component of its repository.
    pub slug: String,
    /// Unique in the namespace.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its own variables.
    pub environment: SecretMap,
    /// State.
    pub state: FunctionStatus,
    /// Cause of `error`, else empty.
    pub error_message: String,
    /// Runtime's name as given.
    pub runtime: String,
    /// Handler string.
    pub handler: String,
    /// MB.
    pub memory_mb: u32,
    /// Milliseconds.
    pub timeout_ms: u64,
    /// Instances kept when nobody calls.
    pub min_scale: u32,
    /// Most instances.
    pub max_scale: u32,
    /// Requests at once in one instance; `None`: by runtime.
    pub max_concurrency: Option<u32>,
    /// Who may call it.
    pub privacy: Privacy,
    /// The archive uploaded last.
    pub archive: Option<Archive>,
    /// The revision that serves.
    pub live_revision: Option<String>,
    /// The last version that was `ready`; 0 before the first.
    pub last_version: u64,
    /// Milliseconds since the Unix epoch.
    pub created: i64,
}

/// What a new function needs. All fields are checked by the caller.
#[derive(Debug, Clone)]
pub struct NewFunction {
    /// UUID v4.
    pub id: String,
    /// Its namespace.
    pub namespace_id: String,
    /// Name.
    pub name: String,
    /// The fields that a PATCH may change too.
    pub fields: FunctionUpdate,
}

/// The fields of a function that may be changed, with the values that are to hold.
#[derive(Debug, Clone)]
pub struct FunctionUpdate {
    /// Free text.
    pub description: Option<String>,
    /// Its own variables.
    pub environment: SecretMap,
    /// Runtime's name.
    pub runtime: String,
    /// Handler string.
    pub handler: String,
    /// MB.
    pub memory_mb: u32,
    /// Milliseconds.
    pub timeout_ms: u64,
    /// Instances kept when nobody calls.
    pub min_scale: u32,
    /// Most instances.
    pub max_scale: u32,
    /// Requests at once in one instance.
    pub max_concurrency: Option<u32>,
    /// Who may call it.
    pub privacy: Privacy,
}

/// What an update did.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The function as it is now.
    pub function: FunctionRow,
    /// Whether a deploy was requested with it.
    pub redeploys: bool,
}

impl FunctionRow {
    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        Tenant { organization_id: self.organization_id.clone(), region: self.region.clone() }
    }

    /// The changeable fields as they are.
    #[must_use]
    pub fn fields(&self) -> FunctionUpdate {
        FunctionUpdate {
            description: self.description.clone(),
            environment: self.environment.clone(),
            runtime: self.runtime.clone(),
            handler: self.handler.clone(),
            memory_mb: self.memory_mb,
            timeout_ms: self.timeout_ms,
            min_scale: self.min_scale,
            max_scale: self.max_scale,
            max_concurrency: self.max_concurrency,
            privacy: self.privacy,
        }
    }
}

impl Store {
    /// A function in state `created`.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for the namespace, [`StoreError::Transient`] when that is not `ready`,
    /// [`StoreError::Duplicate`] when the name is taken.
    pub async fn create_function(
        &self,
        tenant: &Tenant,
        new: NewFunction,
    ) -> Result<FunctionRow, StoreError> {
        self.write("function.create", async |tx| {
            let namespace: NamespaceRow = require(tx, &self.sealer, tenant, &new.namespace_id).await?;
            if namespace.state != NamespaceStatus::Ready {
                return Err(StoreError::Transient {
                    resource: "namespace",
                    id: namespace.id,
                    state: name_of(&namespace.state),
                });
            }
            let created = stamp::<FunctionRow>(tx).await?;
            sqlx::query(
                "INSERT INTO functions (id, namespace_id, name, environment, state, error_message, runtime, handler,
                    memory_mb, timeout_ms, min_scale, max_scale, privacy, last_version, created, updated)
                 VALUES ($1, $2, $3, $4, 'created', '', '', '', 0, 0, 0, 0, 'public', 0, $5, $6)",
            )
            .bind(new.id.clone())
            .bind(new.namespace_id.clone())
            .bind(new.name.clone())
            .bind(Vec::<u8>::new())
            .bind(created)
            .bind(created)
            .execute(&mut *tx)
            .await
            .map_err(|error| StoreError::or_duplicate(error, "function", &new.name))?;
            set_fields(tx, &self.sealer, &new.id, &new.fields).await?;
            require(tx, &self.sealer, tenant, &new.id).await
        })
        .await
    }

    /// The function of this id, whoever owns it: for the server's own needs, never for a caller.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn function_by_id(&self, id: &str) -> Result<Option<FunctionRow>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!("{} WHERE f.id = $1", select())))
            .bind(id.to_owned())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(|row| FunctionRow::read(row, &self.sealer)).transpose()
    }

    /// Every function there is, oldest first: what a start makes routes of.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn all_functions(&self) -> Result<Vec<FunctionRow>, StoreError> {
        let sql = format!("{} ORDER BY f.created, f.id", select());
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.readers).await?;
        rows.iter().map(|row| FunctionRow::read(row, &self.sealer)).collect()
    }

    /// Changes a function, and requests a deploy in the same transaction when `change` says so.
    ///
    /// `change` is given the function as it is and answers the fields that are to hold and whether to redeploy.
    ///
    /// # Errors
    /// `change`'s own, [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`],
    /// [`StoreError::NothingUploaded`].
    pub async fn update_function<E: From<StoreError>>(
        &self,
        tenant: &Tenant,
        id: &str,
        change: impl FnOnce(&FunctionRow) -> Result<(FunctionUpdate, bool), E>,
    ) -> Result<Updated, E> {
        let mut refused = None;
        let updated = self
            .write("function.update", async |tx| {
                let row = require_writable(tx, &self.sealer, tenant, id).await?;
                let (fields, redeploys) = match change(&row) {
                    Ok(change) => change,
                    Err(error) => {
                        refused = Some(error);
                        return Err(StoreError::missing("function", id));
                    }
                };
                set_fields(tx, &self.sealer, id, &fields).await?;
                let mut function: FunctionRow = require(tx, &self.sealer, tenant, id).await?;
                if redeploys {
                    deploys::request(tx, &self.sealer, &function).await?;
                    function = require(tx, &self.sealer, tenant, id).await?;
                }
                Ok(Updated { function, redeploys })
            })
            .await;
        match refused {
            Some(error) => Err(error),
            None => updated.map_err(E::from),
        }
    }

    /// Marks a function `deleting` and ends its deploys. What runs must then be stopped, and
    /// [`Store::function_gone`] called.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`] when it is `deleting` already, [`StoreError::Locked`].
    pub async fn delete_function(&self, tenant: &Tenant, id: &str) -> Result<FunctionRow, StoreError> {
        self.write("function.delete", async |tx| {
            require_writable::<FunctionRow>(tx, &self.sealer, tenant, id).await?;
            mark_deleting(tx, id).await?;
            require(tx, &self.sealer, tenant, id).await
        })
        .await
    }

    /// Removes a `deleting` function with its deploys, revisions and uploads. Does nothing to others.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn function_gone(&self, id: &str) -> Result<(), StoreError> {
        self.write("function.gone", async |tx| {
            let deleting = sqlx::query("SELECT id FROM functions WHERE id = $1 AND state = 'deleting'")
                .bind(id.to_owned())
                .fetch_optional(&mut *tx)
                .await?;
            if deleting.is_none() {
                return Ok(());
            }
            for statement in [
                "DELETE FROM deploy_steps WHERE deploy_id IN (SELECT id FROM deploys WHERE function_id = $1)",
                "DELETE FROM deploys WHERE function_id = $1",
                "DELETE FROM revisions WHERE function_id = $1",
                "DELETE FROM uploads WHERE function_id = $1",
                "DELETE FROM functions WHERE id = $1",
            ] {
                sqlx::query(statement).bind(id.to_owned()).execute(&mut *tx).await?;
            }
            Ok(())
        })
        .await
    }

    /// Ids of all functions in state `deleting`, of one namespace or of all.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn deleting_functions(&self, namespace_id: Option<&str>) -> Result<Vec<String>, StoreError> {
        let namespace = namespace_id.unwrap_or_default();
        let rows = sqlx::query(
            "SELECT id FROM functions WHERE state = 'deleting' AND ($1 = '' OR namespace_id = $2)",
        )
        .bind(namespace.to_owned())
        .bind(namespace.to_owned())
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| row.try_get("id").map_err(StoreError::from)).collect()
    }
}

/// Functions of all tenants: for the server's own needs, never for a caller.
fn select() -> String {
    format!("SELECT {} FROM {}", FunctionRow::COLUMNS, FunctionRow::FROM)
}
