//! Applications: functions and containers. One is `created`, by a deploy `pending` and then `ready` or `error`, then
//! `deleting`, then gone.

mod kind;
mod rows;

use contract::api::{ApplicationStatus, NamespaceStatus, Privacy};
use sqlx::{AssertSqlSafe, Row as _};

use super::{
    Archive, NamespaceRow, Owned as _, Store, StoreError, Tenant, crons, deploys,
    row::{name_of, named},
    tenant::{require, require_room, require_writable, stamp},
};
use crate::secrets::SecretMap;

pub use kind::{Code, Columns, Image, Kind, Writes};
pub(super) use rows::mark_deleting;
use rows::set_fields;

/// A function as stored.
pub type FunctionRow = Application<Code>;
/// A container as stored.
pub type ContainerRow = Application<Image>;

/// An application as stored, its own variables opened.
#[derive(Debug, Clone)]
pub struct Application<K> {
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
    /// Unique among those of its kind in the namespace.
    pub name: String,
    /// State.
    pub state: ApplicationStatus,
    /// Cause of `error`, else empty.
    pub error_message: String,
    /// What functions and containers have in common and a PATCH may change.
    pub settings: Settings,
    /// What runs.
    pub program: K,
    /// The archive uploaded last; a function's.
    pub archive: Option<Archive>,
    /// The revision that serves.
    pub live_revision: Option<String>,
    /// The last version that was `ready`; 0 before the first.
    pub last_version: u64,
    /// Milliseconds since the Unix epoch.
    pub created: i64,
}

/// What an application is set to, whatever it runs. All of it is checked by whoever sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Free text.
    pub description: Option<String>,
    /// Its own variables.
    pub environment: SecretMap,
    /// MB.
    pub memory_mb: u32,
    /// Milliseconds.
    pub timeout_ms: u64,
    /// Instances kept when nobody calls.
    pub min_scale: u32,
    /// Most instances.
    pub max_scale: u32,
    /// Requests at once in one instance; `None`: the default of what runs.
    pub max_concurrency: Option<u32>,
    /// Who may call it.
    pub privacy: Privacy,
}

/// The fields that may be changed, with the values that are to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<K> {
    /// What all have.
    pub settings: Settings,
    /// What this kind has.
    pub program: K,
}

/// What a new application needs. All fields are checked by the caller.
#[derive(Debug, Clone)]
pub struct NewApplication<K> {
    /// UUID v4.
    pub id: String,
    /// Its namespace.
    pub namespace_id: String,
    /// Name.
    pub name: String,
    /// The fields that a PATCH may change too.
    pub fields: Fields<K>,
}

/// What an update did.
#[derive(Debug, Clone)]
pub struct Updated<K> {
    /// The application as it is now.
    pub application: Application<K>,
    /// Whether a deploy was requested with it.
    pub redeploys: bool,
}

/// An application that is `deleting`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleting {
    /// Its id.
    pub id: String,
    /// Its namespace.
    pub namespace_id: String,
    /// Whether it is a container.
    pub is_container: bool,
}

impl<K: Kind> Application<K> {
    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        Tenant { organization_id: self.organization_id.clone(), region: self.region.clone() }
    }

    /// What is known of it when it is `deleting`.
    #[must_use]
    pub fn deleting(&self) -> Deleting {
        Deleting {
            id: self.id.clone(),
            namespace_id: self.namespace_id.clone(),
            is_container: K::NAME == Image::NAME,
        }
    }

    /// The changeable fields as they are.
    #[must_use]
    pub fn fields(&self) -> Fields<K> {
        Fields { settings: self.settings.clone(), program: self.program.clone() }
    }
}

impl Store {
    /// An application in state `created`; the tenant may have `quota` of its kind.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for the namespace, [`StoreError::Transient`] when that is not `ready`,
    /// [`StoreError::Quota`], [`StoreError::Duplicate`] when the name is taken.
    pub async fn create_application<K: Kind>(
        &self,
        tenant: &Tenant,
        new: NewApplication<K>,
        quota: u64,
    ) -> Result<Application<K>, StoreError> {
        self.write(K::WRITES.create, async |tx| {
            let namespace: NamespaceRow = require(tx, &self.sealer, tenant, &new.namespace_id).await?;
            if namespace.state != NamespaceStatus::Ready {
                return Err(StoreError::Transient {
                    resource: "namespace",
                    id: namespace.id,
                    state: name_of(&namespace.state),
                });
            }
            require_room::<Application<K>>(tx, tenant, quota).await?;
            let created = stamp::<Application<K>>(tx).await?;
            sqlx::query(
                "INSERT INTO applications (id, kind, namespace_id, name, environment, state, error_message, runtime,
                    handler, memory_mb, timeout_ms, min_scale, max_scale, privacy, last_version, created, updated)
                 VALUES ($1, $2, $3, $4, $5, 'created', '', '', '', 0, 0, 0, 0, 'public', 0, $6, $7)",
            )
            .bind(new.id.clone())
            .bind(K::NAME)
            .bind(new.namespace_id.clone())
            .bind(new.name.clone())
            .bind(Vec::<u8>::new())
            .bind(created)
            .bind(created)
            .execute(&mut *tx)
            .await
            .map_err(|error| StoreError::or_duplicate(error, K::NAME, &new.name))?;
            set_fields(tx, &self.sealer, &new.id, &new.fields).await?;
            require(tx, &self.sealer, tenant, &new.id).await
        })
        .await
    }

    /// The application of this id, whoever owns it: for the server's own needs, never for a caller.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn application_by_id<K: Kind>(&self, id: &str) -> Result<Option<Application<K>>, StoreError> {
        let sql = format!("SELECT {} FROM {} WHERE a.id = $1", Application::<K>::COLUMNS, K::FROM);
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.readers).await?;
        row.as_ref().map(|row| Application::read(row, &self.sealer)).transpose()
    }

    /// The organization of an application; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn owner_of(&self, id: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT n.organization_id FROM applications a JOIN namespaces n ON n.id = a.namespace_id
             WHERE a.id = $1";
        let row = sqlx::query(sql).bind(id.to_owned()).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get("organization_id")).transpose()?)
    }

    /// Ids and states of all applications there are, oldest first: what a start makes routes of.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn all_applications(&self) -> Result<Vec<(String, ApplicationStatus)>, StoreError> {
        let sql = "SELECT id, state FROM applications ORDER BY created, id";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get("id")?, named(row, "state")?))).collect()
    }

    /// Changes an application, and requests a deploy in the same transaction when `change` says so.
    ///
    /// `change` is given the application as it is and answers the fields that are to hold and whether to redeploy.
    ///
    /// # Errors
    /// `change`'s own, [`StoreError::Missing`], [`StoreError::Transient`], [`StoreError::Locked`],
    /// [`StoreError::NothingUploaded`].
    pub async fn update_application<K: Kind, E: From<StoreError>>(
        &self,
        tenant: &Tenant,
        id: &str,
        change: impl FnOnce(&Application<K>) -> Result<(Fields<K>, bool), E>,
    ) -> Result<Updated<K>, E> {
        let mut refused = None;
        let updated = self
            .write(K::WRITES.update, async |tx| {
                let row = require_writable(tx, &self.sealer, tenant, id).await?;
                let (fields, redeploys) = match change(&row) {
                    Ok(change) => change,
                    Err(error) => {
                        refused = Some(error);
                        return Err(StoreError::missing(K::NAME, id));
                    }
                };
                set_fields(tx, &self.sealer, id, &fields).await?;
                let mut application: Application<K> = require(tx, &self.sealer, tenant, id).await?;
                if redeploys {
                    deploys::request(tx, &self.sealer, &application).await?;
                    application = require(tx, &self.sealer, tenant, id).await?;
                }
                Ok(Updated { application, redeploys })
            })
            .await;
        match refused {
            Some(error) => Err(error),
            None => updated.map_err(E::from),
        }
    }

    /// Marks an application `deleting` and ends its deploys. What runs must then be stopped, and
    /// [`Store::application_gone`] called.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`] when it is `deleting` already, [`StoreError::Locked`].
    pub async fn delete_application<K: Kind>(
        &self,
        tenant: &Tenant,
        id: &str,
    ) -> Result<Application<K>, StoreError> {
        self.write(K::WRITES.delete, async |tx| {
            require_writable::<Application<K>>(tx, &self.sealer, tenant, id).await?;
            mark_deleting(tx, id).await?;
            require(tx, &self.sealer, tenant, id).await
        })
        .await
    }

    /// Removes a `deleting` application with its deploys, revisions and uploads. Does nothing to others.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn application_gone(&self, gone: &Deleting) -> Result<(), StoreError> {
        let writes = if gone.is_container { Image::WRITES } else { Code::WRITES };
        self.write(writes.gone, async |tx| {
            let deleting = sqlx::query("SELECT id FROM applications WHERE id = $1 AND state = 'deleting'")
                .bind(gone.id.clone())
                .fetch_optional(&mut *tx)
                .await?;
            if deleting.is_none() {
                return Ok(());
            }
            crons::remove_of(tx, &gone.id).await?;
            for statement in [
                "DELETE FROM deploy_steps WHERE deploy_id IN (SELECT id FROM deploys WHERE application_id = $1)",
                "DELETE FROM deploys WHERE application_id = $1",
                "DELETE FROM revisions WHERE application_id = $1",
                "DELETE FROM uploads WHERE function_id = $1",
                "DELETE FROM applications WHERE id = $1",
            ] {
                sqlx::query(statement).bind(gone.id.clone()).execute(&mut *tx).await?;
            }
            Ok(())
        })
        .await
    }

    /// All applications in state `deleting`.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn deleting_applications(&self) -> Result<Vec<Deleting>, StoreError> {
        let sql = "SELECT id, namespace_id, kind FROM applications WHERE state = 'deleting'";
        let rows = sqlx::query(sql).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                Ok(Deleting {
                    id: row.try_get("id")?,
                    namespace_id: row.try_get("namespace_id")?,
                    is_container: row.try_get::<String, _>("kind")? == Image::NAME,
                })
            })
            .collect()
    }
}
