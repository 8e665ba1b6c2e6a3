//! From time to time: what the budgets of organizations and the age have no room for goes, and so does what belongs to
//! nobody.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use super::{
    Logs,
    application::{LogFailure, blocking, lock},
    budget::{Held, overdue},
    now,
    segment::Segment,
};
use crate::store::StoreError;

/// Between two looks, however little is said.
const EVERY: Duration = Duration::from_secs(60);
/// Between two looks, however much is said.
const PAUSE: Duration = Duration::from_secs(1);
/// A log that nobody has used for so long is closed.
const UNUSED: Duration = Duration::from_secs(60);

impl Logs {
    /// Removes what is over budget, whenever that may be so; runs until dropped.
    pub async fn run(self) {
        loop {
            // Cancel-safe: a ring that is not heard leaves its permit.
            let _ = tokio::time::timeout(EVERY, self.0.grown.notified()).await;
            self.turn().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One look at all logs; a failure is logged.
    pub async fn turn(&self) {
        let root = self.root().to_owned();
        let organizations = match blocking(move || folders(&root)).await {
            Ok(organizations) => organizations,
            Err(error) => return tracing::error!(%error, "the logs could not be looked through"),
        };
        for organization in organizations {
            if let Err(error) = self.keep_within(&organization).await {
                tracing::error!(folder = %organization.display(), %error, "old logs could not be removed");
            }
        }
        self.0
            .known()
            .applications
            .retain(|_, one| std::sync::Arc::strong_count(one) > 1 || !one.is_unused(UNUSED));
    }

    /// For the start: drops logs of applications that there are no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let kept = self.0.store.all_applications().await?;
        let kept: HashSet<_> = kept.into_iter().map(|(id, _)| id).collect();
        let root = self.root().to_owned();
        let swept = blocking(move || {
            for folder in folders(&root)?.iter().flat_map(|organization| folders(organization)).flatten() {
                if !kept.contains(&name(&folder)) {
                    remove(&folder)?;
                }
            }
            Ok(())
        });
        if let Err(error) = swept.await {
            tracing::error!(%error, "logs of what was deleted could not be removed");
        }
        Ok(())
    }

    /// Removes what an application has below any organization.
    pub(super) async fn remove_folders(&self, application_id: &str) {
        let (root, id) = (self.root().to_owned(), application_id.to_owned());
        let removed =
            blocking(move || folders(&root)?.iter().try_for_each(|one| remove(&one.join(&id)))).await;
        if let Err(error) = removed {
            tracing::error!(application.id = %application_id, %error, "a log could not be removed");
        }
    }

    async fn keep_within(&self, organization: &Path) -> Result<(), LogFailure> {
        let (limits, folder) = (*self.limits(), organization.to_owned());
        let gone = blocking(move || Ok(overdue(held(&folder)?, &limits, now()))).await?;
        let owner = name(organization);
        for (id, base) in gone {
            let application = self.application(&id);
            if application.files(self, Some(&owner)).await?.is_some() {
                application.change(move |files| lock(files).remove_through(base)).await?;
            }
        }
        Ok(())
    }
}

/// All segments of an organization.
fn held(organization: &Path) -> io::Result<Vec<Held>> {
    let mut held = Vec::new();
    for folder in folders(organization)? {
        for entry in entries(&folder)? {
            let Some((base, _)) = Segment::parse(&name(&entry)) else { continue };
            // It may go under this look.
            let Ok(metadata) = fs::metadata(&entry) else { continue };
            let written = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            held.push(Held {
                application: name(&folder),
                base,
                bytes: metadata.len(),
                written: u64::try_from(written.as_millis()).unwrap_or(u64::MAX),
            });
        }
    }
    Ok(held)
}

/// The folders in a folder; none when it is not there.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|entry| entry.is_dir()).collect())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
