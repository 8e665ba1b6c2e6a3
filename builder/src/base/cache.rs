//! Where finished bases are kept: `<images>/<runtime>/<key>` is an OCI image layout, and the file
//! `<images>/<runtime>/current` names the key that is in use.
//!
//! The key is over everything that decides the image's bytes, so a changed shim is never served from an old base.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use contract::runtime::Runtime;
use oci::Image;
use oci::digest::Hasher;

use super::program::Program;
use super::{Base, BaseError, Lock, Recipe};

/// Raised when this builder makes other bytes from the same inputs.
const FORMAT: &str = "1";
/// Name of the file that names the key in use.
const CURRENT: &str = "current";

/// The place of one base.
pub(crate) struct Place {
    folder: PathBuf,
    /// Hexadecimal; the name of the layout's folder.
    pub(crate) key: String,
}

impl Place {
    pub(crate) fn new(images: &Path, recipe: &Recipe, lock: &Lock, program: &Program) -> Self {
        let mut hasher = Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for text in [FORMAT, &recipe.text, &lock.text] {
            part(text.as_bytes());
        }
        for (path, bytes) in &program.files {
            part(path.as_bytes());
            part(bytes);
        }
        let key = hasher.finish().hex()[..32].to_owned();
        Self { folder: images.join(&recipe.runtime), key }
    }

    /// The base, when it was built before; it becomes the current one. A damaged one is removed.
    pub(crate) fn existing(&self) -> Result<Option<Base>, BaseError> {
        let layout = self.folder.join(&self.key);
        if !layout.exists() {
            return Ok(None);
        }
        match Base::open(&layout) {
            Ok(base) => {
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
        let layout = self.folder.join(&self.key);
        match fs::rename(unfinished.path(), &layout) {
            // Another build was faster; its bytes are the same.
            Err(_) if layout.exists() => {}
            moved => moved.map_err(BaseError::io(&layout))?,
        }
        self.point()?;
        Base::open(&layout)
    }

    fn point(&self) -> Result<(), BaseError> {
        let pointer = self.folder.join(CURRENT);
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

/// The current base of a runtime, by its name or an alias.
///
/// # Errors
/// None was built, or it is damaged.
pub fn locate(images: &Path, runtime: &str) -> Result<Base, BaseError> {
    let not_built = || BaseError::NotBuilt { runtime: runtime.to_owned(), path: images.to_owned() };
    let folder = images.join(Runtime::from_name(runtime).ok_or_else(not_built)?.base());
    let key = fs::read_to_string(folder.join(CURRENT)).map_err(|_| not_built())?;
    if key.is_empty() || key.bytes().any(|b| !b.is_ascii_hexdigit()) {
        return Err(not_built());
    }
    Base::open(&folder.join(key))
}

/// The current bases of all runtimes that have one, by name.
///
/// # Errors
/// One is damaged.
pub fn list(images: &Path) -> Result<Vec<Base>, BaseError> {
    let built = Runtime::ALL.into_iter().filter(|r| images.join(r.base()).join(CURRENT).exists());
    built.map(|runtime| locate(images, runtime.base())).collect()
}
