//! What can keep a base image from being built.

use std::io;
use std::path::{Path, PathBuf};

use crate::Architecture;

/// Why there is no base image. `Display` is the sentence a user reads.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A file of ours cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `recipe.toml` says something that makes no sense.
    #[error("{path}: {reason}", path = path.display())]
    Recipe {
        /// The recipe.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The recipe has nothing for this architecture.
    #[error(
        "there is no image of {runtime} for {architecture}: its programs are not published for that machine"
    )]
    NotForArchitecture {
        /// The recipe's name.
        runtime: String,
        /// What was asked for.
        architecture: Architecture,
    },
    /// `lock.toml` does not fit the recipe, or is not a lock.
    #[error("{path}: {reason}; write it anew with: zipship images update {runtime}", path = path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The recipe's name.
        runtime: String,
    },
    /// This machine's configuration names no mirror to download from.
    #[error(
        "no {kind} mirror is configured on this machine and {file} must be downloaded; name one with {flag}"
    )]
    NoMirror {
        /// `Debian` or `npm`.
        kind: &'static str,
        /// The first missing file.
        file: String,
        /// The option that names a mirror.
        flag: &'static str,
    },
    /// No mirror has the file any more.
    #[error(
        "{file} could not be downloaded ({tried}); if it was superseded, write the lock anew with: \
         zipship images update"
    )]
    NotOnAnyMirror {
        /// Path on a mirror.
        file: String,
        /// Each mirror and its answer.
        tried: String,
    },
    /// What a mirror sent is not what the lock names.
    #[error("{package}: the lock wants sha256 {expected}, but the file that came has {found}")]
    Changed {
        /// The package's name.
        package: String,
        /// From the lock.
        expected: String,
        /// Of the bytes received.
        found: String,
    },
    /// An archive is damaged or holds something that has no place in an image.
    #[error("{package}: {reason}")]
    Archive {
        /// The package's name.
        package: String,
        /// What is wrong.
        reason: String,
    },
    /// A symbolic link of the image leads nowhere.
    #[error("the recipe leaves {link} -> {target} without its target: keep the target or drop the link")]
    DanglingLink {
        /// The link's path in the image.
        link: String,
        /// Where it points.
        target: String,
    },
    /// The shim is not an executable that can run in the image.
    #[error("{path}: {reason}; build it with: {command}", path = path.display(), command = shim_command(*architecture))]
    Shim {
        /// The machine it is for.
        architecture: Architecture,
        /// The file given as shim.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A language has no worker programs.
    #[error("{path}: no worker programs for {language} there", path = path.display())]
    NoWorkers {
        /// The folder looked at.
        path: PathBuf,
        /// The language.
        language: String,
    },
    /// The image's own interpreter could not compile its library.
    #[error("precompiling the {language} library failed: {reason}")]
    Precompile {
        /// The language.
        language: String,
        /// The interpreter's last lines.
        reason: String,
    },
    /// An OCI image layout is damaged.
    #[error("{path}: not a readable OCI image layout: {reason}", path = path.display())]
    Layout {
        /// The layout's folder.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// A layout that holds an image of another kind.
    #[error("{path}: this image is no base image of zipship", path = path.display())]
    NotABase {
        /// The layout's folder.
        path: PathBuf,
    },
    /// No base was built yet.
    #[error(
        "there is no base image for {runtime} ({architecture}) in {path}; build it with: zipship images build \
         --arch {architecture} {runtime}",
        path = path.display()
    )]
    NotBuilt {
        /// The recipe's name.
        runtime: String,
        /// The machine it was to be for.
        architecture: Architecture,
        /// The images folder.
        path: PathBuf,
    },
    /// A package manager that `update` asks is missing or failed.
    #[error("{program}: {reason}")]
    PackageManager {
        /// The program's name.
        program: &'static str,
        /// Its last lines, or why it did not start.
        reason: String,
    },
}

/// How the static shim is built.
fn shim_command(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => {
            "RUSTFLAGS=\"-C target-feature=+crt-static\" cargo build -p runtime-shim --profile shim \
             --target x86_64-unknown-linux-gnu"
        }
        Architecture::Arm64 => "scripts/aarch64",
    }
}

impl BaseError {
    /// For `map_err` on operations on a file of ours.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
