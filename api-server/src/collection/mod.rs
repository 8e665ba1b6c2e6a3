//! What nobody needs any more goes from time to time: archives, images, uploads' rows, garbage of the
//! registry. `docs/collection.md` is the promise.
//!
//! Nothing is marked to go: each round looks at what is there and at what the database says is needed, so a round that was
//! cut off anywhere is made up for by the next. What is needed is asked for *after* what is there was listed, and what is
//! on its way into the database then is waited for ([`crate::archives::Placing`]) or was touched ([`registry::sweep`]).

mod archives;
mod images;
mod layers;
mod policy;

use registry::store::Disk;

pub use policy::{CollectPolicy, Keep, KeepError};

use runner::RunnerError;

use crate::{
    archives::{ArchiveError, ArchiveStore},
    instances::LocalInstances,
    store::{Store, StoreError},
};

/// Collects what the policy lets go.
#[derive(Clone)]
pub struct Collector {
    /// What is needed.
    pub store: Store,
    /// Where archives are.
    pub archives: ArchiveStore,
    /// Where images are.
    pub images: Disk,
    /// Where their layers are unpacked, if anything runs.
    pub unpacked: Option<Unpacked>,
    /// What may go.
    pub policy: CollectPolicy,
}

/// Unpacked layers, and who has them.
#[derive(Clone)]
pub struct Unpacked {
    /// Whoever unpacks and runs them.
    pub instances: LocalInstances,
    /// Images that stay unpacked for the next deploy, by repository and digest.
    pub bases: Vec<(String, String)>,
}

/// What a round took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Archives.
    pub archives: u64,
    /// Their bytes.
    pub archive_bytes: u64,
    /// Uploads in a bucket, of which the last of each function is an archive.
    pub uploads: u64,
    /// Tags of versions.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Files of the registry.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Unpacked layers.
    pub layers: u64,
}

/// Why a round, or a part of it, was given up.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Archives.
    #[error("archives: {0}")]
    Archives(#[from] ArchiveError),
    /// Files of the registry.
    #[error("its files: {0}")]
    Files(#[from] std::io::Error),
    /// Unpacked layers.
    #[error("unpacked layers: {0}")]
    Layers(#[from] RunnerError),
}

impl Collector {
    /// Runs until dropped; the first round comes after [`CollectPolicy::every`].
    pub async fn run(self) {
        loop {
            tokio::time::sleep(self.policy.every).await;
            match self.round().await {
                Ok(round) => tracing::info!(
                    archives = round.archives,
                    archive_bytes = round.archive_bytes,
                    uploads = round.uploads,
                    tags = round.tags,
                    manifests = round.manifests,
                    files = round.files,
                    bytes = round.bytes,
                    layers = round.layers,
                    "what nobody needs was collected"
                ),
                Err(error) => {
                    tracing::error!(%error, "a collection was given up; the next one makes up for it")
                }
            }
        }
    }

    /// One round. A part that fails does not keep the other from being done.
    ///
    /// # Errors
    /// [`CollectError`] of the first part that failed.
    pub async fn round(&self) -> Result<Round, CollectError> {
        let mut round = Round::default();
        let archives = self.collect_archives(&mut round).await;
        let images = self.collect_images(&mut round).await;
        // Last, as versions that go with their images need none.
        let layers = self.collect_layers(&mut round).await;
        archives.and(images).and(layers).map(|()| round)
    }
}
