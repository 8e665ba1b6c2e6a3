//! An image to build on, in a registry or in a layout: its documents are read and vetted, its layers are not. A layer
//! of a registry is pulled when it is opened, so one that the target of a push has already is never moved.

mod refusal;
mod remote;

use std::path::PathBuf;
use std::sync::Arc;

pub use refusal::Refusal;
pub use remote::RemoteLayer;

use crate::client::{Client, ClientError, Options};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::image::{Image, ImageLayer};
use crate::layout::{self, LayoutError, Stored};
use crate::manifest::{DOCKER_INDEX, Descriptor, Index, Manifest, OCI_INDEX, Platform};
use crate::reference::Reference;

/// The longest configuration that is read, in bytes.
const CONFIG_MAX: u64 = 4 << 20;

/// Where an image is.
#[derive(Debug, Clone)]
pub enum Source {
    /// In a registry, by tag or digest.
    Registry {
        /// How the registry is reached.
        options: Box<Options>,
        /// Its name there.
        reference: Reference,
    },
    /// In an OCI image layout on disk.
    Layout(PathBuf),
}

/// What a name stands for: one image, or images for several machines.
#[derive(Debug)]
pub struct Found {
    /// The digest of the manifest or the index.
    pub digest: Digest,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Manifest { bytes: Vec<u8>, media_type: String },
    Index(Index),
    Stored(Stored),
}

/// Why there is no image to build on. `Display` is a user's sentence.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The registry could not be asked, or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The layout cannot be read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It is there, and nothing to build on.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Source {
    /// Looks up what the name stands for.
    ///
    /// # Errors
    /// [`SourceError`]
    pub async fn find(&self) -> Result<Found, SourceError> {
        let (options, reference) = match self {
            Self::Layout(dir) => {
                let stored = layout::open(dir)?;
                let digest = match &stored {
                    Stored::Image(image) => image.digest(),
                    Stored::Index(all) => all.digest(),
                };
                return Ok(Found { digest, content: Content::Stored(stored) });
            }
            Self::Registry { options, reference } => (options, reference),
        };
        let (bytes, media_type, digest) = Client::new(Options::clone(options))?.manifest(reference).await?;
        let content = match media_type.as_str() {
            OCI_INDEX | DOCKER_INDEX => Content::Index(Refusal::parsed("index", &bytes)?),
            _ => Content::Manifest { bytes, media_type },
        };
        Ok(Found { digest, content })
    }

    /// The image for a machine (`amd64`, `arm64`; always Linux) among what was found.
    ///
    /// # Errors
    /// [`SourceError`]; [`Refusal::NoPlatform`] names what there is.
    pub async fn image(&self, found: &Found, architecture: &str) -> Result<Image, SourceError> {
        let image = match (&found.content, self) {
            (Content::Stored(stored), _) => of_layout(stored, architecture)?,
            (Content::Index(index), Self::Registry { options, reference }) => {
                let chosen = index.manifests.iter().find(|one| fits(one.platform.as_ref(), architecture));
                let chosen = chosen.ok_or_else(|| Refusal::NoPlatform {
                    wanted: format!("linux/{architecture}"),
                    has: found.platforms(),
                })?;
                let client = Client::new(Options::clone(options))?;
                let child = reference.with_digest(chosen.digest.clone());
                let (bytes, media_type, _) = client.manifest(&child).await?;
                of_registry(&client, options, reference, bytes, media_type).await?
            }
            (Content::Manifest { bytes, media_type }, Self::Registry { options, reference }) => {
                let client = Client::new(Options::clone(options))?;
                of_registry(&client, options, reference, bytes.clone(), media_type.clone()).await?
            }
            // What a registry answered is asked for in a layout.
            (_, Self::Layout(_)) => return Err(Refusal::NoImage.into()),
        };
        vetted(image, architecture)
    }
}

impl Found {
    /// The machines that an index has images for, as `linux/arm64`; empty for a single image.
    #[must_use]
    pub fn platforms(&self) -> Vec<String> {
        let shown = |platform: &Platform| match platform.other.get("variant").and_then(|v| v.as_str()) {
            Some(variant) => format!("{}/{}/{variant}", platform.os, platform.architecture),
            None => format!("{}/{}", platform.os, platform.architecture),
        };
        match &self.content {
            Content::Index(index) => index
                .manifests
                .iter()
                .filter_map(|one| one.platform.as_ref())
                .filter(|platform| platform.os != "unknown")
                .map(shown)
                .collect(),
            Content::Stored(Stored::Index(all)) => {
                let configs = all.images.iter().filter_map(|image| image.parsed_config().ok());
                configs.map(|config| format!("{}/{}", config.os, config.architecture)).collect()
            }
            Content::Manifest { .. } | Content::Stored(Stored::Image(_)) => Vec::new(),
        }
    }

    /// Whether it is an index.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self.content, Content::Index(_) | Content::Stored(Stored::Index(_)))
    }

    /// Whether there is an image for a machine in it. A single image may be for any: only its configuration tells.
    #[must_use]
    pub fn may_have(&self, architecture: &str) -> bool {
        match &self.content {
            Content::Index(index) => {
                index.manifests.iter().any(|one| fits(one.platform.as_ref(), architecture))
            }
            Content::Stored(Stored::Index(_)) => self.platforms().contains(&format!("linux/{architecture}")),
            Content::Manifest { .. } | Content::Stored(Stored::Image(_)) => true,
        }
    }
}

/// Whether any machine of an architecture can run what a platform says.
fn fits(platform: Option<&Platform>, architecture: &str) -> bool {
    let Some(platform) = platform else { return false };
    let variant = platform.other.get("variant").and_then(|variant| variant.as_str()).unwrap_or("");
    let plain = match architecture {
        "arm64" => matches!(variant, "" | "v8"),
        // From v2 on not every machine has what the programs use.
        _ => matches!(variant, "" | "v1"),
    };
    platform.os == "linux" && platform.architecture == architecture && plain
}

fn of_layout(stored: &Stored, architecture: &str) -> Result<Image, SourceError> {
    let all = match stored {
        Stored::Image(image) => return Ok(image.clone()),
        Stored::Index(all) => all,
    };
    let config = |image: &&Image| image.parsed_config().ok();
    let fits = |config: ImageConfig| config.os == "linux" && config.architecture == architecture;
    let chosen = all.images.iter().find(|image| config(image).is_some_and(fits));
    let has = || {
        let configs = all.images.iter().filter_map(|image| image.parsed_config().ok());
        configs.map(|config| format!("{}/{}", config.os, config.architecture)).collect()
    };
    let missing = || Refusal::NoPlatform { wanted: format!("linux/{architecture}"), has: has() };
    Ok(chosen.cloned().ok_or_else(missing)?)
}

async fn of_registry(
    client: &Client,
    options: &Options,
    reference: &Reference,
    bytes: Vec<u8>,
    media_type: String,
) -> Result<Image, SourceError> {
    let manifest: Manifest = Refusal::manifest(&bytes, &media_type)?;
    let mut config = Vec::new();
    if manifest.config.size > CONFIG_MAX {
        return Err(Refusal::LargeConfig { bytes: manifest.config.size }.into());
    }
    client.blob_within(reference, &manifest.config.digest, manifest.config.size, &mut config).await?;
    let parsed: ImageConfig = Refusal::parsed("configuration", &config)?;
    let diff_ids = parsed.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        return Err(Refusal::LayerCount { manifest: manifest.layers.len(), config: diff_ids.len() }.into());
    }
    let layer = |(descriptor, diff_id): (Descriptor, Digest)| {
        let layer = RemoteLayer::new(options.clone(), reference.clone(), descriptor, diff_id);
        ImageLayer::mounted(Arc::new(layer), &*reference.repository)
    };
    let layers = manifest.layers.into_iter().zip(diff_ids).map(layer).collect();
    Ok(Image { config, manifest: bytes, media_type, layers })
}

/// What holds for every image that another is built on.
fn vetted(image: Image, architecture: &str) -> Result<Image, SourceError> {
    Refusal::manifest(&image.manifest, &image.media_type)?;
    let config: ImageConfig = Refusal::parsed("configuration", &image.config)?;
    if config.os != "linux" || config.architecture != architecture {
        return Err(Refusal::NoPlatform {
            wanted: format!("linux/{architecture}"),
            has: vec![format!("{}/{}", config.os, config.architecture)],
        }
        .into());
    }
    Ok(image)
}
