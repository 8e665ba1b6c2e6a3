//! Where finished images are kept: `<images>/<runtime>/<key>` is an OCI image layout, and the file
//! `<images>/<runtime>/current` names the key that is in use; for arm64 it is `current.arm64`.
//!
//! The key is over everything that decides the image's bytes, so a changed shim is never served from an old base.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use contract::runtime::Runtime;
use oci::Image;
use oci::digest::Hasher;

use super::lock::BESIDE_LAYOUT;
use super::program::Program;
use super::{BUILD_IMAGES, Base, BaseError, Lock, Recipe};
use crate::Architecture;

/// Raised when this builder makes other bytes from the same inputs.
const FORMAT: &str = "1";

/// Name of the file, in a runtime's folder, that names the key in use.
#[must_use]
pub fn pointer(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "current",
        Architecture::Arm64 => "current.arm64",
    }
}

/// The place of one base.
pub(crate) struct Place {
    folder: PathBuf,
    architecture: Architecture,
    /// Hexadecimal; the name of the layout's folder.
    pub(crate) key: String,
    /// The lock's text: lists of an image's contents are made from it.
    lock: String,
}

impl Place {
    pub(crate) fn new(
        images: &Path,
        recipe: &Recipe,
        lock: &Lock,
        licenses: &str,
        program: &Program,
    ) -> Self {
        let mut hasher = Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for text in [FORMAT, &recipe.text, &lock.text, licenses] {
            part(text.as_bytes());
        }
        if recipe.architecture != Architecture::Amd64 {
            part(recipe.architecture.name().as_bytes());
        }
        for (path, bytes) in &program.files {
            part(path.as_bytes());
            part(bytes);
        }
        let key = hasher.finish().hex()[..32].to_owned();
        let (folder, lock) = (images.join(&recipe.runtime), lock.text.clone());
        Self { folder, architecture: recipe.architecture, key, lock }
    }

    /// The base, when it was built before; it becomes the current one. A damaged one is removed.
    pub(crate) fn existing(&self) -> Result<Option<Base>, BaseError> {
        let layout = self.folder.join(&self.key);
        if !layout.exists() {
            return Ok(None);
        }
        match Base::open(&layout) {
            Ok(base) => {
                if !layout.join(BESIDE_LAYOUT).exists() {
                    self.keep_lock(&layout)?;
                }
                self.point()?;
                Ok(Some(base))
            }
            Err(error) => {
                tracing::warn!(path = %layout.display(), %error, "removing a damaged base image");
                fs::remove_dir_all(&layout).map_err(BaseError::io(&layout))?;
                Ok(None)
            }
        }
    }

    /// Writes an image beside its place and moves it there in one step.
    pub(crate) fn publish(&self, image: &Image) -> Result<Base, BaseError> {
        fs::create_dir_all(&self.folder).map_err(BaseError::io(&self.folder))?;
        let unfinished = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(&self.folder)
            .map_err(BaseError::io(&self.folder))?;
        oci::layout::write(unfinished.path(), image)
            .map_err(|e| BaseError::Layout { path: unfinished.path().to_owned(), reason: e.to_string() })?;
        self.keep_lock(unfinished.path())?;
        let layout = self.folder.join(&self.key);
        match fs::rename(unfinished.path(), &layout) {
            // Another build was faster; its bytes are the same.
            Err(_) if layout.exists() => {}
            moved => moved.map_err(BaseError::io(&layout))?,
        }
        self.point()?;
        Base::open(&layout)
    }

    fn keep_lock(&self, layout: &Path) -> Result<(), BaseError> {
        let path = layout.join(BESIDE_LAYOUT);
        fs::write(&path, &self.lock).map_err(BaseError::io(&path))
    }

    fn point(&self) -> Result<(), BaseError> {
        let pointer = self.folder.join(pointer(self.architecture));
        if fs::read_to_string(&pointer).is_ok_and(|key| key == self.key) {
            return Ok(());
        }
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::Builder::new()
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .tempfile_in(&self.folder)?;
            file.write_all(self.key.as_bytes())?;
            file.persist(&pointer)?;
            Ok(())
        };
        write().map_err(BaseError::io(&pointer))
    }
}

/// The current image of a runtime (by its name or an alias) or build image, for an architecture.
///
/// # Errors
/// None was built, or it is damaged.
pub fn locate(images: &Path, name: &str, architecture: Architecture) -> Result<Base, BaseError> {
    let not_built = || {
        let path = images.to_owned();
        BaseError::NotBuilt { runtime: name.to_owned(), architecture, path }
    };
    let folder = images.join(folder_name(name).ok_or_else(not_built)?);
    let key = fs::read_to_string(folder.join(pointer(architecture))).map_err(|_| not_built())?;
    if key.is_empty() || key.bytes().any(|b| !b.is_ascii_hexdigit()) {
        return Err(not_built());
    }
    Base::open(&folder.join(key))
}

/// The current bases of all runtimes that have one: by runtime, then by architecture. Build images are not among
/// them: see [`list_all`].
///
/// # Errors
/// One is damaged.
pub fn list(images: &Path) -> Result<Vec<Base>, BaseError> {
    current(images, Runtime::ALL.into_iter().map(Runtime::base))
}

/// As [`list`], and the build images after them.
///
/// # Errors
/// One is damaged.
pub fn list_all(images: &Path) -> Result<Vec<Base>, BaseError> {
    current(images, Runtime::ALL.into_iter().map(Runtime::base).chain(BUILD_IMAGES))
}

fn current(images: &Path, names: impl Iterator<Item = &'static str>) -> Result<Vec<Base>, BaseError> {
    let each = names.flat_map(|name| Architecture::ALL.map(|architecture| (name, architecture)));
    let built = each.filter(|(name, architecture)| images.join(name).join(pointer(*architecture)).exists());
    built.map(|(name, architecture)| locate(images, name, architecture)).collect()
}

/// The folder of a runtime or build image; none when there is no such thing.
fn folder_name(name: &str) -> Option<&'static str> {
    let runtime = Runtime::from_name(name).map(Runtime::base);
    runtime.or_else(|| BUILD_IMAGES.into_iter().find(|build_image| *build_image == name))
}
