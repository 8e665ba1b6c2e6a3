//! A layout with one image or with an index of several: `index.json` names the one or the other.

use std::collections::BTreeMap;
use std::path::Path;

use super::{
    LayoutError, MARKER, blob_path, file_layers, index, parse, prepare, read_blob, read_file, write_blobs,
    write_file,
};
use crate::digest::Digest;
use crate::image::{Image, ImageIndex};
use crate::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, Index, Manifest, OCI_INDEX, OCI_MANIFEST};

/// What a layout holds.
#[derive(Debug, Clone)]
pub enum Stored {
    /// One image.
    Image(Image),
    /// Images for several machines.
    Index(ImageIndex),
}

/// Reads what a layout holds: its image, or its index with every image of it. What is attached to them (signatures,
/// lists of contents) is passed over. Documents are verified, layers checked for their size.
///
/// # Errors
/// The layout cannot be read, or holds something else.
pub fn open(dir: &Path) -> Result<Stored, LayoutError> {
    let path = dir.join("index.json");
    let bytes = read_file(&path)?;
    let top: Index = parse(&path, &bytes)?;
    let images: Vec<Descriptor> = top.manifests.into_iter().filter(is_image).collect();
    match images.as_slice() {
        [one] if is_index(one) => {
            let bytes = read_blob(dir, one)?;
            let nested: Index = parse(&blob_path(dir, &one.digest), &bytes)?;
            let images = nested.manifests.iter().filter(|found| is_image(found));
            let images = images.map(|found| image(dir, found)).collect::<Result<_, _>>()?;
            Ok(Stored::Index(ImageIndex { bytes, media_type: one.media_type.clone(), images }))
        }
        [one] => Ok(Stored::Image(image(dir, one)?)),
        [] => Err(LayoutError::Unsupported { path, reason: "there is no image in it".to_owned() }),
        several => {
            let images = several.iter().map(|found| image(dir, found)).collect::<Result<_, _>>()?;
            Ok(Stored::Index(ImageIndex { bytes, media_type: OCI_INDEX.to_owned(), images }))
        }
    }
}

/// Writes an index and its images as a layout, as [`super::write`] does one image.
///
/// # Errors
/// A file cannot be written, or a layer's bytes are not those of its digest.
pub fn write_all(dir: &Path, all: &ImageIndex) -> Result<(), LayoutError> {
    prepare(dir)?;
    for image in &all.images {
        write_blobs(dir, image)?;
        write_file(&blob_path(dir, &image.digest()), &image.manifest)?;
    }
    write_file(&blob_path(dir, &all.digest()), &all.bytes)?;
    write_file(&dir.join("oci-layout"), MARKER)?;
    let path = dir.join("index.json");
    let json = index(&all.bytes, &all.media_type, None)
        .map_err(|source| LayoutError::Json { path: path.clone(), source })?;
    write_file(&path, &json)
}

fn is_index(found: &Descriptor) -> bool {
    [OCI_INDEX, DOCKER_INDEX].contains(&found.media_type.as_str())
}

/// An image or an index of images, and nothing that is attached to one: those have a type of their own, or say that
/// they are for no machine.
fn is_image(found: &Descriptor) -> bool {
    let kind = is_index(found) || [OCI_MANIFEST, DOCKER_MANIFEST].contains(&found.media_type.as_str());
    let nowhere = found.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
    kind && !nowhere && !found.other.contains_key("artifactType")
}

fn image(dir: &Path, found: &Descriptor) -> Result<Image, LayoutError> {
    let bytes = read_blob(dir, found)?;
    let manifest: Manifest = parse(&blob_path(dir, &found.digest), &bytes)?;
    let config = read_blob(dir, &manifest.config)?;
    let layers = file_layers(dir, &manifest, &config)?;
    Ok(Image { config, manifest: bytes, media_type: found.media_type.clone(), layers })
}

/// The documents of images, each once, in a fixed order.
pub(crate) fn documents(images: &[Image]) -> BTreeMap<Digest, &[u8]> {
    let documents = images.iter().flat_map(|image| [image.manifest.as_slice(), image.config.as_slice()]);
    documents.map(|bytes| (Digest::of(bytes), bytes)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::config::ImageConfig;
    use crate::image::ImageLayer;
    use crate::layer::MemoryLayer;

    fn of(architecture: &str) -> Image {
        let config = ImageConfig { architecture: architecture.into(), ..ImageConfig::default() };
        let layer = MemoryLayer::gzip(Bytes::from_static(b"layer"), Digest::of(b"tar"));
        Image::assemble(config, vec![ImageLayer::new(Arc::new(layer))], BTreeMap::new())
    }

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let all = ImageIndex::assemble(vec![of("amd64"), of("arm64")], BTreeMap::new()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        write_all(dir.path(), &all).unwrap();
        let Stored::Index(read) = open(dir.path()).unwrap() else { panic!("an index") };
        assert_eq!(read.digest(), all.digest());
        let digests: Vec<_> = read.images.iter().map(Image::digest).collect();
        assert_eq!(digests, [of("amd64").digest(), of("arm64").digest()]);
        read.images.iter().for_each(|image| crate::layout::verify(image).unwrap());
        assert!(matches!(crate::layout::read(dir.path()), Err(LayoutError::Unsupported { .. })));
    }

    #[test]
    fn what_is_attached_to_an_image_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        crate::layout::write(dir.path(), &of("amd64")).unwrap();
        let path = dir.path().join("index.json");
        let mut top: Index = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let mut attached = Descriptor::new(OCI_MANIFEST, Digest::of(b"x"), 1);
        attached.other.insert("artifactType".into(), "application/spdx+json".into());
        top.manifests.push(attached);
        std::fs::write(&path, serde_json::to_vec(&top).unwrap()).unwrap();
        let Stored::Image(read) = open(dir.path()).unwrap() else { panic!("an image") };
        assert_eq!(read.digest(), of("amd64").digest());
    }
}
