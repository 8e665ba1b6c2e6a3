//! Base images: a runtime's files, the shim and its worker programs, as an OCI image built without docker and
//! without root.
//!
//! The flow is [`build`]: [`recipe`] and [`lock`] say what goes in, [`cache`] whether it is there already,
//! [`fetch`] gets the archives from [`mirrors`] (by SHA-256, so a mirror is not trusted), [`debian`], [`npm`] and
//! [`wheel`] unpack them in memory into one [`tree`], [`skeleton`] adds the files that no package has, and [`assemble`]
//! writes tar, gzip and configuration. The same recipe, lock, shim and workers always give the same bytes.
//! [`update`] is the other direction: it asks the machine's package managers for the newest versions and
//! writes the lock.

mod archive;
mod assemble;
mod cache;
mod debian;
mod elf;
mod error;
mod fetch;
mod licenses;
mod lock;
mod mirrors;
mod npm;
mod pattern;
mod precompile;
mod program;
mod recipe;
mod skeleton;
mod tree;
mod update;
mod wheel;

use std::path::{Path, PathBuf};

use contract::runtime::Language;
use oci::layer::{Layer, MemoryLayer};
use oci::{Digest, Image, ImageLayer};

use crate::Architecture;
use tree::Tree;

pub use cache::{list, list_all, locate, pointer};
pub use error::BaseError;
pub use fetch::Downloads;
pub use lock::{Archive, Lock, Locked};
pub use mirrors::Mirrors;
pub use recipe::{BUILD_IMAGES, NpmPackage, PythonPackage, Recipe};
pub use update::{Change, UpdateRequest, update};

/// A runtime's base image, complete on this machine.
#[derive(Debug, Clone)]
pub struct Base {
    /// Name of the recipe: `node10`, `python311`, `golang`.
    pub runtime: String,
    /// The machine it is for.
    pub architecture: Architecture,
    /// The image; its layers are files below [`Base::layout`].
    pub image: Image,
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// The OCI image layout on disk.
    pub layout: PathBuf,
}

impl Base {
    /// Reads a base from its OCI image layout.
    ///
    /// # Errors
    /// The layout is not readable, or holds an image that this builder did not make.
    pub fn open(layout: &Path) -> Result<Self, BaseError> {
        let image = oci::layout::read(layout)
            .map_err(|e| BaseError::Layout { path: layout.to_owned(), reason: e.to_string() })?;
        let runtime =
            assemble::runtime_label(&image).ok_or_else(|| BaseError::NotABase { path: layout.to_owned() })?;
        let architecture = image.parsed_config().ok().and_then(|config| config.architecture.parse().ok());
        let architecture = architecture.ok_or_else(|| BaseError::NotABase { path: layout.to_owned() })?;
        Ok(Self { runtime, architecture, digest: image.digest(), image, layout: layout.to_owned() })
    }

    /// The archives that its recipe unpacked. None: the base was put together elsewhere, or by an older builder.
    #[must_use]
    pub fn packages(&self) -> Option<Vec<Locked>> {
        lock::of_layout(&self.layout)
    }

    /// The licences of what is in it, as an SPDX expression; none where an older builder made it.
    #[must_use]
    pub fn licenses(&self) -> Option<String> {
        assemble::licenses_label(&self.image)
    }

    /// Bytes of the files in each layer, once unpacked.
    ///
    /// # Errors
    /// A layer is damaged.
    pub fn unpacked_sizes(&self) -> Result<Vec<u64>, BaseError> {
        let layers = self.image.layers.iter();
        let sizes = layers.map(|one| unpacked_size(&*one.layer)).collect::<std::io::Result<_>>();
        sizes.map_err(|e| BaseError::Layout { path: self.layout.clone(), reason: e.to_string() })
    }

    /// The repository of the embedded registry that holds this base's layers.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("base/{}", self.runtime)
    }

    /// The layers as a function's image carries them: to be mounted from [`Base::repository`].
    #[must_use]
    pub fn mounted_layers(&self) -> Vec<ImageLayer> {
        let repository = self.repository();
        self.image.layers.iter().map(|l| ImageLayer::mounted(l.layer.clone(), repository.as_str())).collect()
    }
}

fn unpacked_size(layer: &dyn Layer) -> std::io::Result<u64> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.open()?));
    archive.entries()?.map(|entry| Ok(entry?.size())).sum()
}

/// What a base is built from and where it goes.
pub struct BaseRequest<'a> {
    /// Folder with `recipe.toml` and its locks.
    pub recipe_dir: &'a Path,
    /// The machine it is for.
    pub architecture: Architecture,
    /// The shim's static executable for that machine.
    pub shim: &'a Path,
    /// Folder with one folder of worker programs per language.
    pub workers: &'a Path,
    /// Where downloads are kept by their SHA-256.
    pub downloads: &'a Path,
    /// Where missing downloads come from.
    pub mirrors: &'a Mirrors,
    /// The base ends in `<images_dir>/<runtime>/<key>`.
    pub images_dir: &'a Path,
    /// Told about every step; called from the thread that called [`build`].
    pub progress: &'a (dyn Fn(Progress<'_>) + Sync),
}

impl BaseRequest<'_> {
    fn downloads(&self) -> Downloads<'_> {
        Downloads { folder: self.downloads, mirrors: self.mirrors, progress: self.progress }
    }
}

/// A step of [`build`], [`download`] or [`update`].
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// So many bytes will be downloaded in so many files.
    Fetching {
        /// Files that are not in the downloads yet.
        files: usize,
        /// Their size in bytes.
        bytes: u64,
    },
    /// Bytes that arrived since the last call.
    Received {
        /// How many.
        bytes: u64,
    },
    /// One file is complete and verified.
    Fetched {
        /// The package's name.
        name: &'a str,
    },
    /// Anything else that takes time.
    Step(&'a str),
}

/// Builds a base image, or finds that it is built already.
///
/// Blocking and CPU-bound; starts its own small runtime for downloads, so not to be called from an async task.
///
/// # Errors
/// See [`BaseError`]; nothing is left behind below `images_dir`.
pub fn build(request: &BaseRequest<'_>) -> Result<Base, BaseError> {
    let recipe = Recipe::load(request.recipe_dir, request.architecture)?;
    let lock = Lock::load(request.recipe_dir, request.architecture)?;
    lock.check_against(&recipe)?;
    let program = program::load(&recipe, request)?;
    let licenses = licenses::expression(request.recipe_dir, &recipe)?;
    let place = cache::Place::new(request.images_dir, &recipe, &lock, &licenses, &program);
    if let Some(base) = place.existing()? {
        return Ok(base);
    }
    let mut files = unpacked(&recipe, &lock, request)?;
    let mut program = program.into_tree(&recipe)?;
    if !recipe.precompile.is_empty() {
        let own = if recipe.architecture == Architecture::HOST { None } else { Some(runnable(request)?) };
        precompile::run([&mut files, &mut program], own.as_ref(), &recipe, request.progress)?;
    }
    (request.progress)(Progress::Step("compressing"));
    let image = assemble::image(&recipe, &place.key, &licenses, &files, &program)?;
    place.publish(&image)
}

/// Brings every archive that a recipe's image for this architecture is built from into the downloads folder, and says
/// which these are. Blocking, like [`build`].
///
/// # Errors
/// Recipe or lock are no such thing, or an archive can't be had.
pub fn download(
    recipe_dir: &Path,
    architecture: Architecture,
    from: Downloads<'_>,
) -> Result<Vec<Locked>, BaseError> {
    let recipe = Recipe::load(recipe_dir, architecture)?;
    let mut locks = vec![Lock::load(recipe_dir, architecture)?];
    if !recipe.precompile.is_empty() && architecture != Architecture::HOST {
        locks.push(Lock::load(recipe_dir, Architecture::HOST)?);
    }
    for lock in &locks {
        fetch::all(lock, from)?;
    }
    Ok(locks.into_iter().flat_map(|lock| lock.packages).collect())
}

/// The shim and the workers of a language as a layer, for a base that is not ours.
pub(crate) fn program_layer(
    shim: &Path,
    workers: &Path,
    language: Language,
    architecture: Architecture,
) -> Result<MemoryLayer, BaseError> {
    let wrong = |reason: String| BaseError::Shim { path: shim.to_owned(), architecture, reason };
    let program = program::read(shim, workers, language, architecture)?;
    let tree = program.tree().map_err(|error| wrong(error.to_string()))?;
    assemble::layer(&tree).map_err(|error| wrong(error.to_string()))
}

/// A layer of plain files that belong to root, and the length of its tar.
pub(crate) fn files_layer(files: &[(String, Vec<u8>)]) -> std::io::Result<(MemoryLayer, u64)> {
    let mut tree = Tree::default();
    for (path, bytes) in files {
        let node = tree::Node::File { bytes: bytes::Bytes::copy_from_slice(bytes), mode: 0o644 };
        tree.insert(path, node).map_err(std::io::Error::other)?;
    }
    let layer = assemble::layer(&tree)?;
    // A gzip member ends with the length of what is in it.
    let length = layer.bytes.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    Ok((layer, u64::from(length)))
}

/// The packages' files as the recipe wants them, and those that no package has.
fn unpacked(recipe: &Recipe, lock: &Lock, request: &BaseRequest<'_>) -> Result<Tree, BaseError> {
    let archives = fetch::all(lock, request.downloads())?;
    (request.progress)(Progress::Step("unpacking"));
    let mut all = Tree::default();
    for (locked, bytes) in lock.packages.iter().zip(&archives) {
        archive::unpack(recipe, locked, bytes, &mut all)?;
    }
    drop(archives);
    skeleton::add(&mut all, recipe)?;
    let mut files = all.select(recipe);
    files.link_merged();
    files.check_links()?;
    elf::trim(&mut files, recipe)?;
    Ok(files)
}

/// The same image's files for this machine, so that nothing of another machine's has to run.
fn runnable(request: &BaseRequest<'_>) -> Result<Tree, BaseError> {
    let recipe = Recipe::load(request.recipe_dir, Architecture::HOST)?;
    let lock = Lock::load(request.recipe_dir, Architecture::HOST)?;
    lock.check_against(&recipe)?;
    unpacked(&recipe, &lock, request)
}
