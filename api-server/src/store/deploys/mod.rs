//! The journal of deploys: what was asked for, how far it came, and who is at it.
//!
//! ```text
//!  request ──▶ queued ──▶ fetching ──▶ building ──▶ pushing ──▶ verifying ──▶ switching ──▶ ready
//!                 └──────────┴────────────┴────────────┴────────────┴─────────────┴──────▶ error
//! ```
//!
//! * `deploy.request` snapshots configuration, variables and archive, sets the application `pending`, and ends older
//!   deploys of it in `error`: they are superseded. One that is `switching` is spared, since callers may
//!   be served by it already: it ends first, and the new one is claimed after it.
//! * `deploy.claim` gives the oldest claimable deploy to one owner for a while (the lease) and counts the attempt.
//!   Every later write carries the attempt, so a worker that lost its lease cannot write any more
//!   ([`StoreError::Stale`]).
//! * After a crash the next claim enters where the effects begin that were lost with the process
//!   ([`DeployState::resumes_at`]).
//! * `deploy.finish` ends it: `ready` makes its revision the live one in the same transaction, `error`
//!   writes the cause into the application and removes the revision. While a newer deploy waits, the application stays
//!   `pending`.

mod advance;
mod request;
mod state;

use contract::api::Privacy;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};

pub(super) use advance::current;
pub(super) use request::{Spare, end_unfinished, request};
pub use state::DeployState;

use super::{
    Archive, Code, Store, StoreError,
    row::{json, named, sealed_map, unsigned},
};
use crate::secrets::{Place, SecretMap};

/// What a deploy and its revision are made of, without variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationConfig {
    /// Application's name.
    pub name: String,
    /// Its namespace.
    pub namespace_id: String,
    /// MB.
    pub memory_mb: u32,
    /// Milliseconds.
    pub timeout_ms: u64,
    /// Instances kept when nobody calls, as of the deploy.
    pub min_scale: u32,
    /// Most instances, as of the deploy.
    pub max_scale: u32,
    /// Requests at once in one instance; `None`: as the instance says.
    pub max_concurrency: Option<u32>,
    /// Who may call it.
    pub privacy: Privacy,
    /// What runs.
    #[serde(flatten)]
    pub program: Program,
}

/// What a deploy makes run. Written by its members alone, so that rows from before there were containers are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Program {
    /// A function's code, out of the archive.
    Code(Code),
    /// A container's image.
    Image {
        /// `<repository>[:tag][@digest]` in this server's registry.
        image: String,
    },
}

/// What is deployed, as the request for a deploy finds it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// A function's archive.
    pub archive: Option<Archive>,
    /// Where the image is kept, `<registry namespace>/<name>`.
    pub repository: String,
    /// What runs.
    pub program: Program,
}

/// A deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// UUID v4.
    pub id: String,
    /// The application it is of.
    pub application_id: String,
    /// 1, 2, ... for the application's deploys, failed ones included.
    pub generation: u64,
    /// How far it came.
    pub state: DeployState,
    /// How often it was claimed.
    pub attempt: u32,
    /// Who is at it.
    pub lease_owner: Option<String>,
    /// Until when, in milliseconds since the Unix epoch.
    pub lease_until: i64,
    /// Configuration as of the request.
    pub config: ApplicationConfig,
    /// Repository in which its image is kept: `<registry namespace>/<function>-<8 of id>`, a container's
    /// `<registry namespace>/<container>`.
    pub repository: String,
    /// The archive as of the request; a function's.
    pub archive: Option<Archive>,
    /// Digest of the image, once it is in the repository.
    pub image_digest: Option<String>,
    /// Its revision, once made.
    pub revision_id: Option<String>,
    /// What the probe of the public path carries.
    pub nonce: String,
    /// Cause of `error`.
    pub error: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub created: i64,
    /// Milliseconds since the Unix epoch.
    pub updated: i64,
}

/// One step of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployStep {
    /// Which attempt.
    pub attempt: u32,
    /// State that was entered.
    pub step: DeployState,
    /// Milliseconds since the Unix epoch.
    pub started: i64,
    /// Milliseconds since the Unix epoch; `None` while it goes on.
    pub ended: Option<i64>,
    /// `done`, `interrupted`, or the cause of the failure.
    pub outcome: Option<String>,
}

impl Store {
    /// The deploy of this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`].
    pub async fn deploy(&self, id: &str) -> Result<Deploy, StoreError> {
        let mut connection = self.readers.acquire().await?;
        require(&mut connection, id).await
    }

    /// Every deploy that has not ended, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn unfinished_deploys(&self) -> Result<Vec<Deploy>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM deploys WHERE state NOT IN ('ready', 'error') ORDER BY created, generation, id",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(read).collect()
    }

    /// All deploys of an application, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn deploys_of(&self, application_id: &str) -> Result<Vec<Deploy>, StoreError> {
        let rows = sqlx::query("SELECT * FROM deploys WHERE application_id = $1 ORDER BY generation DESC")
            .bind(application_id.to_owned())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The steps of a deploy, in order.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn deploy_steps(&self, id: &str) -> Result<Vec<DeployStep>, StoreError> {
        let rows = sqlx::query("SELECT * FROM deploy_steps WHERE deploy_id = $1")
            .bind(id.to_owned())
            .fetch_all(&self.readers)
            .await?;
        let mut steps = rows
            .iter()
            .map(|row| {
                Ok(DeployStep {
                    attempt: unsigned(row, "attempt")?,
                    step: named(row, "step")?,
                    started: row.try_get("started")?,
                    ended: row.try_get("ended")?,
                    outcome: row.try_get("outcome")?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        steps.sort_by_key(|step| (step.attempt, step.step));
        Ok(steps)
    }

    /// The variables as of the request: the namespace's, overridden by the application's.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Sealed`].
    pub async fn deploy_environment(&self, id: &str) -> Result<SecretMap, StoreError> {
        let row = sqlx::query("SELECT environment FROM deploys WHERE id = $1")
            .bind(id.to_owned())
            .fetch_optional(&self.readers)
            .await?
            .ok_or_else(|| StoreError::missing("deploy", id))?;
        sealed_map(&row, &self.sealer, place(id))
    }
}

async fn require(connection: &mut sqlx::AnyConnection, id: &str) -> Result<Deploy, StoreError> {
    let row = sqlx::query("SELECT * FROM deploys WHERE id = $1")
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::missing("deploy", id))?;
    read(&row)
}

fn read(row: &AnyRow) -> Result<Deploy, StoreError> {
    Ok(Deploy {
        id: row.try_get("id")?,
        application_id: row.try_get("application_id")?,
        generation: unsigned(row, "generation")?,
        state: named(row, "state")?,
        attempt: unsigned(row, "attempt")?,
        lease_owner: row.try_get("lease_owner")?,
        lease_until: row.try_get("lease_until")?,
        config: json(row, "config")?,
        repository: row.try_get("repository")?,
        archive: Archive::of_row(row)?,
        image_digest: row.try_get("image_digest")?,
        revision_id: row.try_get("revision_id")?,
        nonce: row.try_get("nonce")?,
        error: row.try_get("error")?,
        created: row.try_get("created")?,
        updated: row.try_get("updated")?,
    })
}

fn place(id: &str) -> Place<'_> {
    Place { table: "deploys", column: "environment", row: id }
}
