//! An image as one tar file: an OCI image layout in a tar, or the form that `docker load` reads.
//!
//! The same image always gives the same bytes: entries in a fixed order, owned by nobody, from the epoch.

use std::io::{self, Read, Write};

use serde::Serialize;

use crate::artifact::{Attachment, EMPTY};
use crate::digest::Digest;
use crate::image::{Image, ImageIndex};
use crate::layer::Layer;
use crate::layout;

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI image layout (`oci-archive:` of other tools).
    Oci,
    /// What `docker save` writes (`docker-archive:` of other tools).
    Docker,
}

/// One element of `manifest.json` in Docker's form.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes an image. `name` is what it is called when it is loaded: a tag for [`Format::Oci`], a whole reference for
/// [`Format::Docker`].
///
/// # Errors
/// `to` cannot be written, or a layer cannot be read or is not as long as it says.
pub fn write(to: impl Write, image: &Image, format: Format, name: Option<&str>) -> io::Result<()> {
    let mut tar = tar::Builder::new(to);
    match format {
        Format::Oci => oci(&mut tar, image, name)?,
        Format::Docker => docker(&mut tar, image, name)?,
    }
    tar.into_inner()?.flush()
}

/// Writes an index with its images, in the form of [`Format::Oci`]: Docker's has room for one image only.
///
/// # Errors
/// Those of [`write`].
pub fn write_all(to: impl Write, all: &ImageIndex, name: Option<&str>) -> io::Result<()> {
    write_attached(to, (&all.bytes, &all.media_type), &all.images, name, &[])
}

/// Writes an image or an index with its images, and documents that are attached to them, in the form of
/// [`Format::Oci`]. `top` is the image's or the index's bytes and media type.
///
/// # Errors
/// Those of [`write`].
pub fn write_attached(
    to: impl Write,
    top: (&[u8], &str),
    images: &[Image],
    name: Option<&str>,
    attachments: &[Attachment],
) -> io::Result<()> {
    let mut tar = tar::Builder::new(to);
    file(&mut tar, "index.json", &layout::index_with(top.0, top.1, name, attachments)?)?;
    file(&mut tar, "oci-layout", layout::MARKER)?;
    let mut documents = layout::documents(images);
    documents.insert(Digest::of(top.0), top.0);
    for attachment in attachments {
        let bytes = [EMPTY, &attachment.content, &attachment.manifest];
        documents.extend(bytes.map(|bytes| (Digest::of(bytes), bytes)));
    }
    for (digest, bytes) in documents {
        file(&mut tar, &blob(&digest), bytes)?;
    }
    layers(&mut tar, images, blob)?;
    tar.into_inner()?.flush()
}

/// Where a blob lies in a layout.
fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn oci(tar: &mut tar::Builder<impl Write>, image: &Image, name: Option<&str>) -> io::Result<()> {
    let index = layout::index(&image.manifest, &image.media_type, name)?;
    file(tar, "index.json", &index)?;
    file(tar, "oci-layout", layout::MARKER)?;
    let mut small = vec![(Digest::of(&image.manifest), &image.manifest)];
    small.push((Digest::of(&image.config), &image.config));
    for (digest, bytes) in small {
        file(tar, &blob(&digest), bytes)?;
    }
    layers(tar, std::slice::from_ref(image), blob)
}

fn docker(tar: &mut tar::Builder<impl Write>, image: &Image, name: Option<&str>) -> io::Result<()> {
    let config = Digest::of(&image.config);
    let layer_file = |digest: &Digest| format!("{}.tar.gz", digest.hex());
    let manifest = [DockerManifest {
        config: config.to_string(),
        repo_tags: name.into_iter().map(str::to_owned).collect(),
        layers: image.layers.iter().map(|layer| layer_file(layer.layer.digest())).collect(),
    }];
    file(tar, config.as_str(), &image.config)?;
    layers(tar, std::slice::from_ref(image), layer_file)?;
    file(tar, "manifest.json", &serde_json::to_vec(&manifest)?)
}

/// Every layer once.
fn layers(
    tar: &mut tar::Builder<impl Write>,
    images: &[Image],
    path: impl Fn(&Digest) -> String,
) -> io::Result<()> {
    let mut seen = std::collections::HashSet::new();
    for layer in images.iter().flat_map(|image| &image.layers).map(|layer| layer.layer.as_ref()) {
        if seen.insert(layer.digest().clone()) {
            one_layer(tar, &path(layer.digest()), layer)?;
        }
    }
    Ok(())
}

fn one_layer(tar: &mut tar::Builder<impl Write>, path: &str, layer: &dyn Layer) -> io::Result<()> {
    let mut counted = Counted { inner: layer.open()?.take(layer.size() + 1), bytes: 0 };
    entry(tar, path, layer.size(), &mut counted)?;
    if counted.bytes == layer.size() {
        return Ok(());
    }
    Err(io::Error::other(format!("the layer {} does not have its {} bytes", layer.digest(), layer.size())))
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

fn file(tar: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> io::Result<()> {
    entry(tar, path, bytes.len() as u64, &mut &*bytes)
}

fn entry(tar: &mut tar::Builder<impl Write>, path: &str, size: u64, data: &mut dyn Read) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, data)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::config::ImageConfig;
    use crate::image::ImageLayer;
    use crate::layer::MemoryLayer;

    fn image(bytes: &'static [u8]) -> Image {
        let layer = MemoryLayer::gzip(Bytes::from_static(bytes), Digest::of(b"tar"));
        let layer = ImageLayer::new(Arc::new(layer));
        Image::assemble(ImageConfig::default(), vec![layer.clone(), layer], BTreeMap::new())
    }

    fn written(format: Format, name: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &image(b"layer"), format, name).unwrap();
        out
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn an_oci_archive_is_a_layout() {
        let directory = tempfile::tempdir().unwrap();
        tar::Archive::new(&*written(Format::Oci, Some("1"))).unpack(directory.path()).unwrap();
        let read = layout::read(directory.path()).unwrap();
        assert_eq!(read.digest(), image(b"layer").digest());
        layout::verify(&read).unwrap();
        let index = std::fs::read_to_string(directory.path().join("index.json")).unwrap();
        assert!(index.contains(r#""org.opencontainers.image.ref.name":"1""#), "{index}");
    }

    #[test]
    fn an_archive_of_several_images_is_a_layout_too() {
        let images = vec![image(b"layer"), image(b"other")];
        let all = ImageIndex::assemble(images, BTreeMap::new()).unwrap();
        let mut archive = Vec::new();
        write_all(&mut archive, &all, Some("1")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        tar::Archive::new(&*archive).unpack(directory.path()).unwrap();
        let layout::Stored::Index(read) = layout::open(directory.path()).unwrap() else { panic!("an index") };
        assert_eq!(read.digest(), all.digest());
        read.images.iter().for_each(|image| layout::verify(image).unwrap());
    }

    #[test]
    fn a_docker_archive_names_its_parts() {
        let archive = written(Format::Docker, Some("r/a:1"));
        let layer = format!("{}.tar.gz", Digest::of(b"layer").hex());
        let config = Digest::of(&image(b"layer").config).to_string();
        assert_eq!(names(&archive), [config, layer, "manifest.json".to_owned()]);
        assert_eq!(written(Format::Docker, Some("r/a:1")), archive, "the same bytes again");
    }

    #[test]
    fn a_layer_that_lies_is_found() {
        let mut layer = MemoryLayer::gzip(Bytes::from_static(b"layer"), Digest::of(b"tar"));
        layer.bytes = Bytes::from_static(b"lay");
        let honest = image(b"layer");
        // `size` follows the bytes: the lie is one of a layer that changes after it was measured.
        struct Short(MemoryLayer);
        impl Layer for Short {
            fn digest(&self) -> &Digest {
                self.0.digest()
            }
            fn diff_id(&self) -> &Digest {
                self.0.diff_id()
            }
            fn size(&self) -> u64 {
                5
            }
            fn media_type(&self) -> &str {
                self.0.media_type()
            }
            fn open(&self) -> io::Result<Box<dyn Read + Send>> {
                self.0.open()
            }
        }
        let image = Image { layers: vec![ImageLayer::new(Arc::new(Short(layer)))], ..honest };
        for format in [Format::Oci, Format::Docker] {
            assert!(write(io::sink(), &image, format, None).is_err(), "{format:?}");
        }
    }
}
