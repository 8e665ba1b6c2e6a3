//! From time to time, what nobody can reach any more in the registry goes.

use std::time::Duration;

use registry::store::Disk;

/// Between two collections; the first comes after one of these.
const EVERY: Duration = Duration::from_secs(6 * 3600);
/// What was used within this time stays: an upload that goes on for longer is nobody's.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// Runs until dropped.
pub(super) async fn run(blobs: Disk) {
    loop {
        tokio::time::sleep(EVERY).await;
        let store = blobs.clone();
        match tokio::task::spawn_blocking(move || registry::collect(&store, GRACE)).await {
            Ok(Ok(collected)) => tracing::info!(
                unlinked = collected.unlinked,
                files = collected.files,
                bytes = collected.bytes,
                "the registry's garbage was collected"
            ),
            Ok(Err(error)) => tracing::error!(%error, "the registry's garbage could not be collected"),
            Err(error) => tracing::error!(%error, "the registry's garbage could not be collected"),
        }
    }
}
