//! Revisions: what runs, immutable. Version 1, 2, ... without gaps: a revision whose deploy fails is removed.

use futures_util::TryStreamExt as _;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _, any::AnyRow};

use super::{
    Store, StoreError,
    deploys::{ApplicationConfig, Deploy, current},
    new_id, now_ms,
    row::{json, sealed_map, to_json, unsigned},
};
use crate::secrets::{Place, SecretMap};

/// Columns that [`read_live`] wants, of what serves.
const LIVE: &str =
    "SELECT r.id, r.application_id, r.version, r.config, r.image_reference, r.image_digest, r.created,
        a.min_scale, a.max_scale
     FROM revisions r JOIN applications a ON a.live_revision = r.id WHERE a.state <> 'deleting'";

/// A revision, without its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// UUID v4.
    pub id: String,
    /// The application it is of.
    pub application_id: String,
    /// 1, 2, ...
    pub version: u64,
    /// Configuration as of the deploy.
    pub config: ApplicationConfig,
    /// `host:port/repository` or repository, as the deploy wrote it.
    pub image_reference: String,
    /// `sha256:...`
    pub image_digest: String,
    /// Milliseconds since the Unix epoch.
    pub created: i64,
}

/// All that an instance of a revision needs.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The revision.
    pub revision: Revision,
    /// The user's variables.
    pub environment: SecretMap,
    /// Namespace of the application.
    pub namespace_id: String,
    /// PKCS#1 PEM of the namespace's public key.
    pub public_key: String,
}

/// An application and the version of it that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// `function` or `container`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Version that runs.
    pub version: u64,
}

impl Store {
    /// The revision of a deploy, with the next version. Called again by a later attempt it answers the one that is
    /// there, or replaces it when the image is another.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the deploy went on without this attempt.
    pub async fn create_revision(
        &self,
        deploy: &Deploy,
        image_reference: &str,
        image_digest: &str,
    ) -> Result<Revision, StoreError> {
        let environment = self.deploy_environment(&deploy.id).await?;
        self.write("revision.create", async |tx| {
            let now = current(tx, deploy).await?;
            if let Some(id) = &now.revision_id {
                let there = require(tx, id).await?;
                if there.image_digest == image_digest && there.image_reference == image_reference {
                    return Ok(there);
                }
                sqlx::query("DELETE FROM revisions WHERE id = $1").bind(id.clone()).execute(&mut *tx).await?;
            }
            let id = new_id();
            sqlx::query(
                "INSERT INTO revisions (id, application_id, version, config, environment, image_reference,
                    image_digest, created)
                 SELECT $1, a.id, a.last_version + 1, $2, $3, $4, $5, $6 FROM applications a WHERE a.id = $7",
            )
            .bind(id.clone())
            .bind(to_json(&deploy.config))
            .bind(self.sealer.seal_map(place(&id), &environment))
            .bind(image_reference.to_owned())
            .bind(image_digest.to_owned())
            .bind(now_ms())
            .bind(deploy.application_id.clone())
            .execute(&mut *tx)
            .await?;
            sqlx::query("UPDATE deploys SET revision_id = $1, image_digest = $2, updated = $3 WHERE id = $4")
                .bind(id.clone())
                .bind(image_digest.to_owned())
                .bind(now_ms())
                .bind(deploy.id.clone())
                .execute(&mut *tx)
                .await?;
            require(tx, &id).await
        })
        .await
    }

    /// The revision of this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`].
    pub async fn revision(&self, id: &str) -> Result<Revision, StoreError> {
        let mut connection = self.readers.acquire().await?;
        require(&mut connection, id).await
    }

    /// The live revisions of all applications that are not `deleting`, with their present scale: what a start
    /// gives the gateway. One at a time, so that ten thousand are never in memory at once.
    ///
    /// # Errors
    /// [`StoreError::Database`]; what came before has been given.
    pub async fn each_live_revision(&self, mut give: impl FnMut(Revision)) -> Result<(), StoreError> {
        let sql = format!("{LIVE} ORDER BY r.created, r.id");
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&self.readers);
        while let Some(row) = rows.try_next().await? {
            give(read_live(&row)?);
        }
        Ok(())
    }

    /// The live revision of an application that is not `deleting`, with its present scale.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn live_revision(&self, application_id: &str) -> Result<Option<Revision>, StoreError> {
        let sql = format!("{LIVE} AND a.id = $1");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(application_id.to_owned());
        query.fetch_optional(&self.readers).await?.as_ref().map(read_live).transpose()
    }

    /// What runs this image of this repository, if anything does: kind, name and version of the application.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn running(&self, repository: &str, digest: &str) -> Result<Option<Running>, StoreError> {
        let rows = sqlx::query(
            "SELECT a.kind, a.name, r.version, r.image_reference FROM revisions r
             JOIN applications a ON a.live_revision = r.id
             WHERE r.image_digest = $1 AND a.state <> 'deleting'",
        )
        .bind(digest.to_owned())
        .fetch_all(&self.readers)
        .await?;
        for row in &rows {
            let reference: String = row.try_get("image_reference")?;
            let of =
                reference.strip_suffix(repository).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
            if of {
                return Ok(Some(Running {
                    kind: row.try_get("kind")?,
                    name: row.try_get("name")?,
                    version: unsigned(row, "version")?,
                }));
            }
        }
        Ok(None)
    }

    /// All that an instance of this revision needs, secrets opened.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Sealed`].
    pub async fn launch(&self, revision_id: &str) -> Result<Launch, StoreError> {
        let row = sqlx::query(
            "SELECT r.*, a.namespace_id, n.public_key FROM revisions r
             JOIN applications a ON a.id = r.application_id JOIN namespaces n ON n.id = a.namespace_id
             WHERE r.id = $1",
        )
        .bind(revision_id.to_owned())
        .fetch_optional(&self.readers)
        .await?
        .ok_or_else(|| StoreError::missing("revision", revision_id))?;
        Ok(Launch {
            revision: read(&row)?,
            environment: sealed_map(&row, &self.sealer, place(revision_id))?,
            namespace_id: row.try_get("namespace_id")?,
            public_key: row.try_get("public_key")?,
        })
    }
}

pub(super) async fn require(connection: &mut AnyConnection, id: &str) -> Result<Revision, StoreError> {
    let row = sqlx::query("SELECT * FROM revisions WHERE id = $1")
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::missing("revision", id))?;
    read(&row)
}

/// Of [`LIVE`].
fn read_live(row: &AnyRow) -> Result<Revision, StoreError> {
    let mut revision = read(row)?;
    revision.config.min_scale = unsigned(row, "min_scale")?;
    revision.config.max_scale = unsigned(row, "max_scale")?;
    Ok(revision)
}

fn read(row: &AnyRow) -> Result<Revision, StoreError> {
    Ok(Revision {
        id: row.try_get("id")?,
        application_id: row.try_get("application_id")?,
        version: unsigned(row, "version")?,
        config: json(row, "config")?,
        image_reference: row.try_get("image_reference")?,
        image_digest: row.try_get("image_digest")?,
        created: row.try_get("created")?,
    })
}

fn place(id: &str) -> Place<'_> {
    Place { table: "revisions", column: "environment", row: id }
}
