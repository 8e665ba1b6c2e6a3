//! What a build made: one image, or an index with one for each machine.

use builder::Built;
use oci::artifact::Attachment;
use oci::{Digest, Image, ImageIndex, Reference};

/// The images of one function.
pub(super) struct Product {
    /// For each machine, in the order of the index.
    pub(super) built: Vec<Built>,
    /// There when there is more than one.
    pub(super) index: Option<ImageIndex>,
    /// Documents about the images.
    pub(super) attached: Vec<Attachment>,
}

/// What is written or pushed under one name.
#[derive(Debug, Clone)]
pub(crate) enum Goods {
    Image(Image),
    Index(ImageIndex),
}

impl Product {
    pub(super) fn of(built: Vec<Built>, attached: Vec<Attachment>) -> anyhow::Result<Self> {
        let index = match built.as_slice() {
            [_] => None,
            several => {
                let images = several.iter().map(|built| built.image.clone()).collect();
                Some(ImageIndex::assemble(images, std::collections::BTreeMap::new())?)
            }
        };
        Ok(Self { built, index, attached })
    }

    /// What stands under the image's name.
    pub(super) fn digest(&self) -> Digest {
        match &self.index {
            Some(index) => index.digest(),
            None => self.built[0].image.digest(),
        }
    }

    pub(super) fn goods(&self) -> Goods {
        match &self.index {
            Some(index) => Goods::Index(index.clone()),
            None => Goods::Image(self.built[0].image.clone()),
        }
    }
}

impl Goods {
    pub(crate) fn images(&self) -> &[Image] {
        match self {
            Self::Image(image) => std::slice::from_ref(image),
            Self::Index(index) => &index.images,
        }
    }

    /// The document under the image's name, and its media type.
    pub(crate) fn top(&self) -> (&[u8], &str) {
        match self {
            Self::Image(image) => (&image.manifest, &image.media_type),
            Self::Index(index) => (&index.bytes, &index.media_type),
        }
    }

    pub(crate) fn images_mut(&mut self) -> &mut [Image] {
        match self {
            Self::Image(image) => std::slice::from_mut(image),
            Self::Index(index) => &mut index.images,
        }
    }

    /// For a target: layers of the base are linked from where they are in its registry, and from nowhere else.
    pub(super) fn linked(&self, target: &Reference, base: Option<&str>, named: Option<&str>) -> Self {
        let mut linked = self.clone();
        let same = base == Some(&*target.registry);
        for layer in linked.images_mut().iter_mut().flat_map(|image| &mut image.layers) {
            if !same {
                layer.mount_from = layer.mount_from.as_ref().and(named.map(str::to_owned));
            }
        }
        linked
    }
}
