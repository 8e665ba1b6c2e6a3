//! The image of an instance: found in the embedded registry, its layers unpacked by the runner.

use std::{collections::BTreeMap, fs::File, io};

use gateway::StartFailure;
use oci::{
    Digest,
    config::{ContainerConfig, ImageConfig},
    manifest::Manifest,
};
use runner::Compression;

use super::{Inner, platform};

/// An image as an instance needs it.
pub(super) struct Found {
    /// Blob and diff id of each layer, the base first.
    layers: Vec<(Digest, Digest, Compression)>,
    /// Its configuration.
    pub(super) config: ContainerConfig,
}

impl Found {
    /// Diff ids, the base first. Of a layer that is there more than once only the topmost counts: it puts again
    /// whatever the others have put.
    pub(super) fn diff_ids(&self) -> Vec<Digest> {
        let mut ids = Vec::with_capacity(self.layers.len());
        for (_, diff_id, _) in self.layers.iter().rev() {
            if !ids.contains(diff_id) {
                ids.push(diff_id.clone());
            }
        }
        ids.reverse();
        ids
    }

    /// `WorkingDir`, absolute.
    pub(super) fn working_directory(&self) -> String {
        let directory = self.config.working_dir.as_deref().unwrap_or_default();
        if directory.starts_with('/') { directory.to_owned() } else { format!("/{directory}") }
    }

    /// `Env` as a map.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.config.env.iter().filter_map(|entry| entry.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// Reads manifest and configuration of an image.
pub(super) async fn find(inner: &Inner, repository: &str, digest: &str) -> Result<Found, StartFailure> {
    let (disk, repository, digest) = (inner.registry.clone(), repository.to_owned(), digest.to_owned());
    let name = format!("{repository}@{digest}");
    let read = move || -> io::Result<Found> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "it is not in the registry");
        let (manifest, ..) = disk.resolve(&repository, &digest)?.ok_or_else(missing)?;
        let manifest: Manifest = serde_json::from_slice(&manifest)?;
        let config = io::read_to_string(disk.open_blob(&manifest.config.digest)?)?;
        let config: ImageConfig = serde_json::from_str(&config)?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(io::Error::other("manifest and configuration name different numbers of layers"));
        }
        let layers = manifest.layers.iter().zip(config.rootfs.diff_ids);
        let layers = layers
            .map(|(layer, diff_id)| (layer.digest.clone(), diff_id, Compression::of(&layer.media_type)));
        Ok(Found { layers: layers.collect(), config: config.config })
    };
    let found = tokio::task::spawn_blocking(read).await.map_err(platform)?;
    found.map_err(|error| platform(format!("the image {name} can't be used: {error}")))
}

/// Hands the layers that were not unpacked in this process's life to the runner.
pub(super) async fn unpack(inner: &Inner, image: &Found) -> Result<(), StartFailure> {
    for (digest, diff_id, compression) in &image.layers {
        if inner.known().unpacked.contains(diff_id.as_str()) {
            continue;
        }
        let blob: File = inner.registry.open_blob(digest).map_err(platform)?;
        inner.backend.unpack(diff_id, blob, *compression).await.map_err(platform)?;
        inner.known().unpacked.insert(diff_id.as_str().to_owned());
    }
    Ok(())
}
