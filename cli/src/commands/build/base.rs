//! What the image is built on: the runtime's own base, or a user's (`--base`), for one machine or for several.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use builder::Architecture;
use builder::base::Base;
use builder::foreign::{self, Files, ForeignBase, Origin};
use clap::Args;
use contract::runtime::Runtime;
use oci::source::{Found, Source};
use oci::{Image, Reference};

use super::lock::{self, LockOptions};
use crate::commands::registry::{Access, wait};
use crate::programs::{ShimOption, shim_for, workers};

/// Layers are searched for the interpreter up to so many bytes in all: reading takes a second for each 100 MB.
const WORTH_READING: u64 = 256 << 20;

/// What the image is built on.
#[derive(Debug, Args)]
pub(super) struct BaseOptions {
    /// Build on this image instead of the runtime's own: registry/repository:tag (or @digest), or oci-layout:DIR. It needs
    /// a node or python3 of its own; the shim and the workers come on top.
    #[arg(long, value_name = "IMAGE")]
    base: Option<Place>,
    /// The machines: linux/amd64, linux/arm64, or all that base and shims are there for. Several make an index of images
    /// [default: this machine's].
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    platforms: Vec<Platforms>,
    /// A static shim for a base of your own, [ARCHITECTURE=]FILE; repeatable [default: those in this binary, where cargo
    /// and scripts/aarch64 build them, or beside the executable].
    #[arg(long = "shim", value_name = "[ARCH=]FILE")]
    shims: Vec<ShimOption>,
    /// Folder with the worker programs per language, for a base of your own [default: as for the shim].
    #[arg(long, value_name = "DIR")]
    workers: Option<PathBuf>,
    /// The interpreter in a base of your own, a name on its PATH or an absolute path [default: node, python3].
    #[arg(long, value_name = "PROGRAM")]
    interpreter: Option<String>,
    /// Speak HTTP without TLS to the base's registry [default: as --insecure says, unless the first tag is of another registry].
    #[arg(long)]
    insecure_base: bool,
    #[command(flatten)]
    pin: LockOptions,
}

/// Where a user's base is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Registry(Reference),
    Layout(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("oci-layout:") {
            Some("") => Err("write oci-layout:DIR".to_owned()),
            Some(directory) => Ok(Self::Layout(directory.into())),
            None => {
                let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
                match reference.target() {
                    Some(_) => Ok(Self::Registry(reference)),
                    None => Err("name a tag or a digest: registry/repository:tag".to_owned()),
                }
            }
        }
    }
}

/// Which machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platforms {
    All,
    One(Architecture),
}

impl FromStr for Platforms {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            text => {
                text.parse().map(Self::One).map_err(|error: builder::NoSuchArchitecture| error.to_string())
            }
        }
    }
}

/// A base for one machine.
pub(super) struct Ground {
    pub(super) base: Base,
    /// Of a user's own.
    pub(super) origin: Option<Origin>,
    pub(super) warnings: Vec<String>,
}

/// What the options are about.
pub(super) struct Wanted<'a> {
    pub(super) runtime: Runtime,
    /// The function's archive or directory.
    pub(super) source: &'a Path,
    pub(super) images: &'a Path,
    pub(super) access: &'a Access,
    /// Where the image is pushed to, when it is.
    pub(super) target: Option<&'a Reference>,
}

impl BaseOptions {
    /// The registry that the base's layers are in.
    pub(super) fn registry(&self) -> Option<&str> {
        match &self.base {
            Some(Place::Registry(reference)) => Some(&reference.registry),
            _ => None,
        }
    }

    /// Whether more than one machine may be meant.
    pub(super) fn may_be_several(&self) -> bool {
        self.platforms.len() > 1 || self.platforms.contains(&Platforms::All)
    }

    /// The bases, in the order of their architectures.
    pub(super) fn grounds(&self, wanted: &Wanted<'_>) -> anyhow::Result<Vec<Ground>> {
        match &self.base {
            Some(place) => self.foreign(place, wanted),
            None => self.own(wanted),
        }
    }

    fn own(&self, wanted: &Wanted<'_>) -> anyhow::Result<Vec<Ground>> {
        let locate = |architecture| builder::base::locate(wanted.images, wanted.runtime.base(), architecture);
        let ground = |base| Ground { base, origin: None, warnings: Vec::new() };
        if self.platforms.contains(&Platforms::All) {
            let found: Vec<Ground> =
                Architecture::ALL.into_iter().filter_map(|one| locate(one).ok()).map(ground).collect();
            // None at all: the error of this machine's says what to do.
            return if found.is_empty() { Ok(vec![ground(locate(Architecture::HOST)?)]) } else { Ok(found) };
        }
        self.named().into_iter().map(|architecture| Ok(ground(locate(architecture)?))).collect()
    }

    /// The machines that are named, each once and in a fixed order; this one when none is.
    fn named(&self) -> Vec<Architecture> {
        let named = |one: &Platforms| match one {
            Platforms::One(architecture) => Some(*architecture),
            Platforms::All => None,
        };
        let mut all: Vec<Architecture> = self.platforms.iter().filter_map(named).collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() { vec![Architecture::HOST] } else { all }
    }

    fn foreign(&self, place: &Place, wanted: &Wanted<'_>) -> anyhow::Result<Vec<Ground>> {
        let (source, name) = self.source(place, wanted)?;
        let about = || format!("the base {name}");
        let (source, found) = match place {
            Place::Registry(reference) => {
                lock::pinned(&self.pin, wanted.source, reference, source).with_context(about)?
            }
            Place::Layout(_) => {
                let found = wait(source.find())?.with_context(about)?;
                (source, found)
            }
        };
        let mut grounds = Vec::new();
        for architecture in self.architectures(&found) {
            let image = wait(source.image(&found, architecture.name()))?;
            let image = match image {
                // Whether a single image is for a machine is known only now.
                Err(_) if self.platforms.contains(&Platforms::All) && !found.is_index() => continue,
                image => image.with_context(about)?,
            };
            let index = found.is_index().then(|| found.digest.clone());
            let origin = Origin { name: name.clone(), digest: image.digest(), index };
            grounds.push(self.dressed(&image, origin, architecture, wanted.runtime).with_context(about)?);
        }
        if grounds.is_empty() {
            bail!(
                "the base {name} is for no machine that there is a shim for here; it is for: {}",
                found.platforms().join(", ")
            );
        }
        Ok(grounds)
    }

    fn architectures(&self, found: &Found) -> Vec<Architecture> {
        if !self.platforms.contains(&Platforms::All) {
            return self.named();
        }
        let possible = |one: &Architecture| found.may_have(one.name()) && shim_for(*one, &self.shims).is_ok();
        Architecture::ALL.into_iter().filter(possible).collect()
    }

    fn source(&self, place: &Place, wanted: &Wanted<'_>) -> anyhow::Result<(Source, String)> {
        let reference = match place {
            Place::Layout(directory) => {
                // Where the layout lies on this machine is nobody's business.
                let name = directory.file_name().unwrap_or_default().to_string_lossy();
                return Ok((Source::Layout(directory.clone()), format!("oci-layout:{name}")));
            }
            Place::Registry(reference) => reference,
        };
        // Without a target the options are about the base's registry alone.
        let same = wanted.target.is_none_or(|target| target.registry == reference.registry);
        let mut options = match same {
            true => wanted.access.options(reference)?,
            false => wanted.access.options_elsewhere(reference)?,
        };
        options.plain_http = self.insecure_base || (same && options.plain_http);
        Ok((
            Source::Registry { options: Box::new(options), reference: reference.clone() },
            reference.to_string(),
        ))
    }

    fn dressed(
        &self,
        image: &Image,
        origin: Origin,
        architecture: Architecture,
        runtime: Runtime,
    ) -> anyhow::Result<Ground> {
        let bytes: u64 = image.layers.iter().map(|layer| layer.layer.size()).sum();
        let near = !matches!(self.base, Some(Place::Registry(_)));
        let files = if near && bytes <= WORTH_READING { Files::of(image)? } else { None };
        let dressed = foreign::dress(&ForeignBase {
            image,
            origin: &origin,
            architecture,
            runtime,
            shim: &shim_for(architecture, &self.shims)?,
            workers: &workers(self.workers.as_deref())?,
            interpreter: self.interpreter.as_deref(),
            files: files.as_ref(),
        })?;
        Ok(Ground { base: dressed.base, origin: Some(origin), warnings: dressed.warnings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_bases_and_their_machines() {
        assert_eq!("oci-layout:d/e".parse(), Ok(Place::Layout("d/e".into())));
        assert!(matches!("h:1/a:t".parse(), Ok(Place::Registry(_))));
        for wrong in ["oci-layout:", "h:1/a", "node:22", ""] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
        assert_eq!("all".parse(), Ok(Platforms::All));
        assert_eq!("linux/arm64/v8".parse(), Ok(Platforms::One(Architecture::Arm64)));
        assert!("windows/amd64".parse::<Platforms>().is_err());
    }
}
