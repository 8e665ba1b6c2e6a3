//! What is attached to the images of a layout: manifests of their own, listed in `index.json` beside the images.

use std::path::Path;

use super::{LayoutError, REF_NAME, blob_path, parse, read_blob, read_file, write_file};
use crate::artifact::{Attachment, EMPTY, artifact_type};
use crate::digest::Digest;
use crate::manifest::{Descriptor, Index};

/// Adds documents to a complete layout. `name` is what the image is called from then on, unless it has a name: with
/// more than one manifest in a layout, readers want to be told which is meant.
///
/// # Errors
/// The layout cannot be read or written.
pub fn attach(dir: &Path, attachments: &[Attachment], name: &str) -> Result<(), LayoutError> {
    if attachments.is_empty() {
        return Ok(());
    }
    for attachment in attachments {
        for bytes in [EMPTY, &attachment.content, &attachment.manifest] {
            write_file(&blob_path(dir, &Digest::of(bytes)), bytes)?;
        }
    }
    let path = dir.join("index.json");
    let mut index: Index = parse(&path, &read_file(&path)?)?;
    list(&mut index.manifests, attachments, name);
    let json =
        serde_json::to_vec(&index).map_err(|source| LayoutError::Json { path: path.clone(), source })?;
    write_file(&path, &json)
}

/// Lists documents behind the images, each once.
pub(crate) fn list(manifests: &mut Vec<Descriptor>, attachments: &[Attachment], name: &str) {
    if let Some(image) = manifests.first_mut().filter(|_| !attachments.is_empty()) {
        image.annotations.entry(REF_NAME.to_owned()).or_insert_with(|| name.to_owned());
    }
    for Attachment { descriptor, .. } in attachments {
        if manifests.iter().all(|listed| listed.digest != descriptor.digest) {
            manifests.push(descriptor.clone());
        }
    }
}

/// The documents that are attached to a layout's images.
///
/// # Errors
/// The layout cannot be read.
pub fn attachments(dir: &Path) -> Result<Vec<Attachment>, LayoutError> {
    let path = dir.join("index.json");
    let index: Index = parse(&path, &read_file(&path)?)?;
    let mut found = Vec::new();
    for descriptor in index.manifests.iter().filter(|listed| artifact_type(listed).is_some()) {
        let manifest = read_blob(dir, descriptor)?;
        let mut failed = None;
        let content = |layer: &Descriptor| read_blob(dir, layer).map_err(|error| failed = Some(error)).ok();
        found.extend(Attachment::read(manifest, content));
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::artifact::Artifact;
    use crate::config::ImageConfig;
    use crate::image::{Image, ImageLayer};
    use crate::layer::MemoryLayer;

    fn image() -> Image {
        let layer = MemoryLayer::gzip(Bytes::from_static(b"layer"), Digest::of(b"tar"));
        Image::assemble(ImageConfig::default(), vec![ImageLayer::new(Arc::new(layer))], BTreeMap::new())
    }

    fn document(text: &str) -> Attachment {
        let (artifact_type, content) = ("application/x-test".to_owned(), text.as_bytes().to_vec());
        Artifact { artifact_type, content, annotations: BTreeMap::new() }.attached_to(&image())
    }

    #[test]
    fn documents_lie_beside_the_image_and_are_not_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        super::super::write(dir, &image()).unwrap();
        let all = [document("one"), document("two")];
        attach(dir, &all, "v1").unwrap();
        attach(dir, &all[..1], "v2").unwrap();
        assert_eq!(attachments(dir).unwrap(), all);
        assert_eq!(super::super::read(dir).unwrap().digest(), image().digest());
        let index: Index = serde_json::from_slice(&std::fs::read(dir.join("index.json")).unwrap()).unwrap();
        assert_eq!(index.manifests[0].annotations[REF_NAME], "v1");

        let mut archive = Vec::new();
        let (image, unpacked) = (image(), tempfile::tempdir().unwrap());
        let top = (image.manifest.as_slice(), image.media_type.as_str());
        crate::archive::write_attached(&mut archive, top, std::slice::from_ref(&image), None, &all).unwrap();
        tar::Archive::new(archive.as_slice()).unpack(unpacked.path()).unwrap();
        assert_eq!(attachments(unpacked.path()).unwrap(), all);
        assert_eq!(super::super::read(unpacked.path()).unwrap().digest(), image.digest());
    }
}
