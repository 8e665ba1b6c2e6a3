//! An operator's lock on a function, a container, or a namespace with all that is in it: writes to it are refused, and
//! its callers find nothing, until it is unlocked.

use contract::api::{ApplicationStatus, NamespaceStatus};
use sqlx::{AnyConnection, Row as _};

use super::{
    Store, StoreError, deploys, now_ms,
    row::{count, name_of, named},
};

/// What was locked or unlocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// `namespace`, `function` or `container`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its state now.
    pub state: String,
    /// Functions and containers that were locked or unlocked, itself included.
    pub applications: usize,
}

impl Locked {
    fn namespace(name: String, state: NamespaceStatus, applications: usize) -> Self {
        Self { kind: "namespace".to_owned(), name, state: name_of(&state), applications }
    }

    fn application(of: Application, state: ApplicationStatus) -> Self {
        Self { kind: of.kind, name: of.name, state: name_of(&state), applications: 1 }
    }
}

impl Store {
    /// Locks what has this id, whoever owns it. A deploy that goes on is ended; what is locked stays so.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`] when it is being made or deleted.
    pub async fn lock(&self, id: &str) -> Result<Locked, StoreError> {
        self.write("lock.set", async |tx| {
            if let Some(found) = namespace(tx, id).await? {
                let lockable = [NamespaceStatus::Ready, NamespaceStatus::Locked];
                refuse_unless(lockable.contains(&found.state), "namespace", id, &found.state)?;
                set_namespace(tx, id, NamespaceStatus::Locked).await?;
                let mut count = 0;
                for one in applications_of(tx, id).await? {
                    count += usize::from(lock_application(tx, &one).await?);
                }
                return Ok(Locked::namespace(found.name, NamespaceStatus::Locked, count));
            }
            let found = application(tx, id).await?.ok_or_else(|| StoreError::missing("resource", id))?;
            refuse_unless(lock_application(tx, &found).await?, &found.kind, id, &found.state)?;
            Ok(Locked::application(found, ApplicationStatus::Locked))
        })
        .await
    }

    /// Takes the lock away: the state is again what the last deploy left.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Transient`] when it is not locked; for an application of a namespace
    /// that is locked, [`StoreError::Locked`] naming that.
    pub async fn unlock(&self, id: &str) -> Result<Locked, StoreError> {
        self.write("lock.clear", async |tx| {
            if let Some(found) = namespace(tx, id).await? {
                let is_locked = found.state == NamespaceStatus::Locked;
                refuse_unless(is_locked, "namespace", id, &found.state)?;
                set_namespace(tx, id, NamespaceStatus::Ready).await?;
                let mut count = 0;
                for one in applications_of(tx, id).await? {
                    count += usize::from(unlock_application(tx, &one).await?);
                }
                return Ok(Locked::namespace(found.name, NamespaceStatus::Ready, count));
            }
            let found = application(tx, id).await?.ok_or_else(|| StoreError::missing("resource", id))?;
            if let Some(around) = namespace(tx, &found.namespace_id).await?
                && around.state == NamespaceStatus::Locked
            {
                return Err(StoreError::Locked { resource: "namespace", id: found.namespace_id });
            }
            refuse_unless(unlock_application(tx, &found).await?, &found.kind, id, &found.state)?;
            let state = found.unlocked;
            Ok(Locked::application(found, state))
        })
        .await
    }

    /// Ids of the applications that are locked.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn locked_applications(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT id FROM applications WHERE state = 'locked'").fetch_all(&self.readers);
        rows.await?.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// The state of an application, whoever owns it; `None` when it is gone.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn application_state(&self, id: &str) -> Result<Option<ApplicationStatus>, StoreError> {
        let row = sqlx::query("SELECT state FROM applications WHERE id = $1").bind(id.to_owned());
        row.fetch_optional(&self.readers).await?.as_ref().map(|row| named(row, "state")).transpose()
    }
}

struct Namespace {
    name: String,
    state: NamespaceStatus,
}

struct Application {
    id: String,
    namespace_id: String,
    kind: String,
    name: String,
    state: ApplicationStatus,
    /// What its state is without a lock.
    unlocked: ApplicationStatus,
}

const APPLICATION: &str = "SELECT id, namespace_id, kind, name, state, live_revision, error_message,
    (SELECT COUNT(*) FROM deploys d WHERE d.application_id = a.id AND d.state NOT IN ('ready', 'error')) AS n
    FROM applications a";

fn refuse_unless<S: serde::Serialize>(
    holds: bool,
    kind: &str,
    id: &str,
    state: &S,
) -> Result<(), StoreError> {
    let resource = match kind {
        "namespace" => "namespace",
        "container" => "container",
        _ => "function",
    };
    let refusal = || StoreError::Transient { resource, id: id.to_owned(), state: name_of(state) };
    if holds { Ok(()) } else { Err(refusal()) }
}

async fn namespace(tx: &mut AnyConnection, id: &str) -> Result<Option<Namespace>, StoreError> {
    let row = sqlx::query("SELECT name, state FROM namespaces WHERE id = $1").bind(id.to_owned());
    let Some(row) = row.fetch_optional(tx).await? else { return Ok(None) };
    Ok(Some(Namespace { name: row.try_get("name")?, state: named(&row, "state")? }))
}

async fn application(tx: &mut AnyConnection, id: &str) -> Result<Option<Application>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("{APPLICATION} WHERE a.id = $1"));
    sqlx::query(sql).bind(id.to_owned()).fetch_optional(tx).await?.as_ref().map(read).transpose()
}

async fn applications_of(tx: &mut AnyConnection, namespace_id: &str) -> Result<Vec<Application>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("{APPLICATION} WHERE a.namespace_id = $1"));
    sqlx::query(sql).bind(namespace_id.to_owned()).fetch_all(tx).await?.iter().map(read).collect()
}

fn read(row: &sqlx::any::AnyRow) -> Result<Application, StoreError> {
    let (live, error): (Option<String>, String) =
        (row.try_get("live_revision")?, row.try_get("error_message")?);
    let unlocked = match (count(row)?, live, error.is_empty()) {
        // One that was switching when it was locked.
        (1.., ..) => ApplicationStatus::Pending,
        (0, _, false) => ApplicationStatus::Error,
        (0, Some(_), true) => ApplicationStatus::Ready,
        (0, None, true) => ApplicationStatus::Created,
    };
    Ok(Application {
        id: row.try_get("id")?,
        namespace_id: row.try_get("namespace_id")?,
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        state: named(row, "state")?,
        unlocked,
    })
}

async fn set_namespace(tx: &mut AnyConnection, id: &str, state: NamespaceStatus) -> Result<(), StoreError> {
    sqlx::query("UPDATE namespaces SET state = $1, updated = $2 WHERE id = $3")
        .bind(name_of(&state))
        .bind(now_ms())
        .bind(id.to_owned())
        .execute(tx)
        .await?;
    Ok(())
}

/// `false` for one that is going.
async fn lock_application(tx: &mut AnyConnection, one: &Application) -> Result<bool, StoreError> {
    if one.state == ApplicationStatus::Deleting {
        return Ok(false);
    }
    // A deploy that is switching may have a revision that serves: it is let through to its end, which is a write of the
    // deploy's own and leaves the lock as it is.
    deploys::end_unfinished(tx, &one.id, "an operator locked it meanwhile", deploys::Spare::Switching)
        .await?;
    set_application(tx, &one.id, ApplicationStatus::Locked).await?;
    Ok(true)
}

/// `false` for one that is not locked.
async fn unlock_application(tx: &mut AnyConnection, one: &Application) -> Result<bool, StoreError> {
    if one.state != ApplicationStatus::Locked {
        return Ok(false);
    }
    set_application(tx, &one.id, one.unlocked).await?;
    Ok(true)
}

async fn set_application(
    tx: &mut AnyConnection,
    id: &str,
    state: ApplicationStatus,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE applications SET state = $1, updated = $2 WHERE id = $3")
        .bind(name_of(&state))
        .bind(now_ms())
        .bind(id.to_owned())
        .execute(tx)
        .await?;
    Ok(())
}
