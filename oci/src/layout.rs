//! The OCI image layout: one image as a directory.
//!
//! ```text
//! oci-layout                  {"imageLayoutVersion": "1.0.0"}
//! index.json                  an index with exactly one image manifest, or one index of several
//! blobs/sha256/<hex>          manifest, configuration, layers
//! ```
//! `index.json` is written last, so a directory that has one is complete.

mod attached;
mod several;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::artifact::{Attachment, artifact_type};
use crate::config::ImageConfig;
use crate::digest::{Digest, Hasher};
use crate::image::{Image, ImageLayer};
use crate::layer::{FileLayer, Layer};
use crate::manifest::{DOCKER_MANIFEST, Descriptor, Index, Manifest, OCI_INDEX, OCI_MANIFEST};

pub(crate) use attached::list;
pub use attached::{attach, attachments};
pub(crate) use several::documents;
pub use several::{Stored, open, write_all};

/// Why a layout could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A JSON document is not what it must be.
    #[error("{path}: {source}", path = path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A blob's content or size is not what its descriptor says.
    #[error("{path}: expected {expected}, found {found}", path = path.display())]
    Mismatch {
        /// Which file.
        path: PathBuf,
        /// The descriptor's digest or size.
        expected: String,
        /// The file's.
        found: String,
    },
    /// The layout holds something other than exactly one image of known type.
    #[error("{path}: {reason}", path = path.display())]
    Unsupported {
        /// Which file.
        path: PathBuf,
        /// What it holds.
        reason: String,
    },
}

/// Reads the one image of a layout. Manifest and configuration are verified against their digests; layers
/// are checked for their size only and stay on disk ([`verify`] reads them).
pub fn read(dir: &Path) -> Result<Image, LayoutError> {
    let index_path = dir.join("index.json");
    let index: Index = parse(&index_path, &read_file(&index_path)?)?;
    // What is attached to the image is not another one.
    let images: Vec<&Descriptor> =
        index.manifests.iter().filter(|found| artifact_type(found).is_none()).collect();
    let [descriptor] = images.as_slice() else {
        return Err(LayoutError::Unsupported {
            path: index_path,
            reason: format!("expected one image, found {}", images.len()),
        });
    };
    if ![OCI_MANIFEST, DOCKER_MANIFEST].contains(&descriptor.media_type.as_str()) {
        return Err(LayoutError::Unsupported {
            path: index_path,
            reason: format!("expected an image manifest, found {}", descriptor.media_type),
        });
    }
    let bytes = read_blob(dir, descriptor)?;
    let manifest: Manifest = parse(&blob_path(dir, &descriptor.digest), &bytes)?;
    let config = read_blob(dir, &manifest.config)?;
    let layers = file_layers(dir, &manifest, &config)?;
    Ok(Image { config, manifest: bytes, media_type: descriptor.media_type.clone(), layers })
}

/// Writes an image as a layout. Blobs that are there already with the right size are kept; every file
/// appears whole or not at all. A layer whose bytes do not have its digest is refused.
pub fn write(dir: &Path, image: &Image) -> Result<(), LayoutError> {
    prepare(dir)?;
    write_blobs(dir, image)?;
    write_index(dir, &image.manifest, &image.media_type)
}

/// Layers and configuration.
fn write_blobs(dir: &Path, image: &Image) -> Result<(), LayoutError> {
    for ImageLayer { layer, .. } in &image.layers {
        write_layer(dir, layer.as_ref())?;
    }
    write_file(&blob_path(dir, &Digest::of(&image.config)), &image.config)
}

/// Makes the directories of a layout.
pub(crate) fn prepare(dir: &Path) -> Result<(), LayoutError> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(|source| LayoutError::Io { path: blobs, source })
}

/// Completes a layout that has its other blobs: the manifest, and the index that names it.
pub(crate) fn write_index(dir: &Path, manifest: &[u8], media_type: &str) -> Result<(), LayoutError> {
    let digest = Digest::of(manifest);
    write_file(&blob_path(dir, &digest), manifest)?;
    write_file(&dir.join("oci-layout"), MARKER)?;
    let path = dir.join("index.json");
    let json = index(manifest, media_type, None)
        .map_err(|source| LayoutError::Json { path: path.clone(), source })?;
    write_file(&path, &json)
}

/// The file that makes a directory a layout.
pub(crate) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// What an image without a name is called where it needs one.
pub const UNNAMED: &str = "latest";
/// The annotation by which a layout calls an image.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The `index.json` of a layout with one image.
pub(crate) fn index(
    manifest: &[u8],
    media_type: &str,
    name: Option<&str>,
) -> Result<Vec<u8>, serde_json::Error> {
    index_with(manifest, media_type, name, &[])
}

/// The same with what is attached to the image.
pub(crate) fn index_with(
    manifest: &[u8],
    media_type: &str,
    name: Option<&str>,
    attachments: &[Attachment],
) -> Result<Vec<u8>, serde_json::Error> {
    let mut descriptor = Descriptor::new(media_type, Digest::of(manifest), manifest.len() as u64);
    descriptor.annotations.extend(name.map(|name| (REF_NAME.to_owned(), name.to_owned())));
    let mut manifests = vec![descriptor];
    list(&mut manifests, attachments, name.unwrap_or(UNNAMED));
    serde_json::to_vec(&Index {
        schema_version: 2,
        media_type: Some(OCI_INDEX.to_owned()),
        manifests,
        annotations: BTreeMap::new(),
        other: BTreeMap::new(),
    })
}

/// Reads every layer of an image and compares it with its digest and size.
pub fn verify(image: &Image) -> Result<(), LayoutError> {
    for ImageLayer { layer, .. } in &image.layers {
        let path = PathBuf::from(layer.digest().as_str());
        let mut hasher = Hasher::by(layer.digest().algorithm());
        copy_layer(layer.as_ref(), &mut hasher, &path)?;
        check(&path, layer.digest(), &hasher.finish())?;
    }
    Ok(())
}

/// Where a blob of this digest lies in a layout.
pub fn blob_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("blobs").join(digest.algorithm().name()).join(digest.hex())
}

fn file_layers(dir: &Path, manifest: &Manifest, config: &[u8]) -> Result<Vec<ImageLayer>, LayoutError> {
    let config_path = blob_path(dir, &manifest.config.digest);
    let config: ImageConfig = parse(&config_path, config)?;
    let diff_ids = config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        return Err(LayoutError::Mismatch {
            path: config_path,
            expected: format!("{} diff ids", manifest.layers.len()),
            found: diff_ids.len().to_string(),
        });
    }
    let mut layers = Vec::with_capacity(diff_ids.len());
    for (descriptor, diff_id) in manifest.layers.iter().zip(diff_ids) {
        let path = blob_path(dir, &descriptor.digest);
        let size =
            fs::metadata(&path).map_err(|source| LayoutError::Io { path: path.clone(), source })?.len();
        check(&path, descriptor.size, size)?;
        layers.push(ImageLayer::new(Arc::new(FileLayer {
            path,
            digest: descriptor.digest.clone(),
            diff_id,
            size,
            media_type: descriptor.media_type.clone(),
        })));
    }
    Ok(layers)
}

fn write_layer(dir: &Path, layer: &dyn Layer) -> Result<(), LayoutError> {
    let path = blob_path(dir, layer.digest());
    if fs::metadata(&path).is_ok_and(|found| found.len() == layer.size()) {
        return Ok(());
    }
    let temporary = temporary(&path);
    let failed = |source| LayoutError::Io { path: temporary.clone(), source };
    // The directory of an algorithm that is not the usual one.
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    let hasher = Hasher::by(layer.digest().algorithm());
    let mut file = Tee { file: File::create(&temporary).map_err(failed)?, hasher };
    let copied = copy_layer(layer, &mut file, &temporary)
        .and_then(|()| check(&path, layer.digest(), &file.hasher.finish()));
    if let Err(error) = copied {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    fs::rename(&temporary, &path).map_err(|source| LayoutError::Io { path, source })
}

/// Copies a layer's bytes and checks their number.
fn copy_layer(layer: &dyn Layer, to: &mut dyn Write, path: &Path) -> Result<(), LayoutError> {
    let failed = |source| LayoutError::Io { path: path.to_owned(), source };
    let mut from = layer.open().map_err(failed)?;
    let found = io::copy(&mut from, to).map_err(failed)?;
    check(path, layer.size(), found)
}

struct Tee {
    file: File,
    hasher: Hasher,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn read_blob(dir: &Path, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
    let path = blob_path(dir, &descriptor.digest);
    let bytes = read_file(&path)?;
    check(&path, &descriptor.digest, &descriptor.digest.likewise(&bytes))?;
    Ok(bytes)
}

fn read_file(path: &Path) -> Result<Vec<u8>, LayoutError> {
    fs::read(path).map_err(|source| LayoutError::Io { path: path.to_owned(), source })
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let temporary = temporary(path);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|source| LayoutError::Io { path: path.to_owned(), source })
}

/// A name beside `path` that no other process and no other thread of this one uses.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{unique}.partial", std::process::id()))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(bytes).map_err(|source| LayoutError::Json { path: path.to_owned(), source })
}

fn check<T: PartialEq + ToString>(path: &Path, expected: T, found: T) -> Result<(), LayoutError> {
    if expected == found {
        return Ok(());
    }
    Err(LayoutError::Mismatch {
        path: path.to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::MemoryLayer;
    use bytes::Bytes;

    fn image() -> Image {
        let layer = MemoryLayer::gzip(Bytes::from_static(b"layer"), Digest::of(b"tar"));
        Image::assemble(ImageConfig::default(), vec![ImageLayer::new(Arc::new(layer))], BTreeMap::new())
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &image()).unwrap();
        let read = read(dir.path()).unwrap();
        assert_eq!(read.digest(), image().digest());
        assert_eq!(read.config, image().config);
        assert_eq!(read.layers[0].layer.diff_id(), &Digest::of(b"tar"));
        verify(&read).unwrap();
        let names: Vec<_> = fs::read_dir(dir.path().join("blobs/sha256")).unwrap().collect();
        assert_eq!(names.len(), 3, "no temporary file is left: {names:?}");
    }

    #[test]
    fn a_changed_layer_is_found() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &image()).unwrap();
        let path = blob_path(dir.path(), &Digest::of(b"layer"));
        fs::write(&path, b"lay3r").unwrap();
        assert!(matches!(verify(&read(dir.path()).unwrap()), Err(LayoutError::Mismatch { .. })));
        fs::write(&path, b"longer layer").unwrap();
        assert!(matches!(read(dir.path()), Err(LayoutError::Mismatch { .. })));
    }

    #[test]
    fn a_changed_config_is_found() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &image()).unwrap();
        fs::write(blob_path(dir.path(), &Digest::of(&image().config)), b"{}").unwrap();
        assert!(matches!(read(dir.path()), Err(LayoutError::Mismatch { .. })));
    }

    #[test]
    fn a_layer_that_lies_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut layer = MemoryLayer::gzip(Bytes::from_static(b"layer"), Digest::of(b"tar"));
        layer.bytes = Bytes::from_static(b"lay3r");
        let image =
            Image::assemble(ImageConfig::default(), vec![ImageLayer::new(Arc::new(layer))], BTreeMap::new());
        assert!(matches!(write(dir.path(), &image), Err(LayoutError::Mismatch { .. })));
        assert!(!dir.path().join("index.json").exists());
    }
}
