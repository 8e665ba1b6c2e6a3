//! Where an image is written besides a registry: `oci-layout:DIR`, `oci-archive:FILE`, `docker-archive:FILE`.

use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use oci::Reference;
use oci::archive::Format;
use oci::artifact::Attachment;

use super::product::Goods;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    Layout(PathBuf),
    Archive(Format, PathBuf),
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((_, "")) | None => {}
            Some(("oci-layout", path)) => return Ok(Self::Layout(path.into())),
            Some(("oci-archive", path)) => return Ok(Self::Archive(Format::Oci, path.into())),
            Some(("docker-archive", path)) => return Ok(Self::Archive(Format::Docker, path.into())),
            Some(_) => {}
        }
        Err("write oci-layout:DIR, oci-archive:FILE or docker-archive:FILE".to_owned())
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(path) | Self::Archive(_, path) => path.display().fmt(f),
        }
    }
}

impl Output {
    /// Whether the form has no room for images of several machines.
    pub(crate) fn has_room_for_one(&self) -> bool {
        matches!(self, Self::Archive(Format::Docker, _))
    }

    /// Writes what was built; an archive is there whole or not at all. `reference` is what the image is called.
    /// Documents about it are in an image layout beside it; Docker's form has no room for them.
    pub(crate) fn write(
        &self,
        goods: &Goods,
        reference: Option<&Reference>,
        attached: &[Attachment],
    ) -> anyhow::Result<()> {
        let about = || format!("writing {self}");
        match self {
            Self::Layout(directory) => {
                std::fs::create_dir_all(directory).with_context(about)?;
                match goods {
                    Goods::Image(image) => oci::layout::write(directory, image),
                    Goods::Index(index) => oci::layout::write_all(directory, index),
                }
                .with_context(about)?;
                let name = reference.and_then(|reference| reference.tag.as_deref());
                oci::layout::attach(directory, attached, name.unwrap_or(oci::layout::UNNAMED))
                    .with_context(about)
            }
            Self::Archive(format, path) => {
                let name = match format {
                    Format::Oci => reference.and_then(|reference| reference.tag.clone()),
                    Format::Docker => reference.map(ToString::to_string),
                };
                let unfinished = path.with_extension("partial");
                let write = || -> std::io::Result<()> {
                    let file = BufWriter::new(File::create(&unfinished)?);
                    match goods {
                        _ if *format == Format::Oci && !attached.is_empty() => {
                            let images = goods.images();
                            oci::archive::write_attached(
                                file,
                                goods.top(),
                                images,
                                name.as_deref(),
                                attached,
                            )?;
                        }
                        Goods::Image(image) => oci::archive::write(file, image, *format, name.as_deref())?,
                        Goods::Index(index) => oci::archive::write_all(file, index, name.as_deref())?,
                    }
                    std::fs::rename(&unfinished, path)
                };
                write().inspect_err(|_| drop(std::fs::remove_file(&unfinished))).with_context(about)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_paths() {
        assert_eq!("oci-layout:d".parse(), Ok(Output::Layout("d".into())));
        assert_eq!("oci-archive:/a:b".parse(), Ok(Output::Archive(Format::Oci, "/a:b".into())));
        assert_eq!("docker-archive:x".parse(), Ok(Output::Archive(Format::Docker, "x".into())));
        for wrong in ["", "x", "oci-archive:", "tar:x"] {
            assert!(wrong.parse::<Output>().is_err(), "{wrong}");
        }
    }
}
