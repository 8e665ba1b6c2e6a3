//! `zipship.lock`: the digests that the tags of bases stood for when they were first used. A tag that moves is told and
//! changes nothing until `--update-base` says so.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use oci::source::{Found, Source, SourceError};
use oci::{Digest, Reference};
use serde::{Deserialize, Serialize};

use crate::commands::registry::wait;

/// Its name: in the function's directory, or beside its zip.
pub(super) const FILE: &str = "zipship.lock";
const HEAD: &str =
    "# The digests that bases were pinned to by `zipship build --base`. Keep it with the source.\n";
/// The form that is written.
const VERSION: u32 = 1;

/// Which digest a tag stands for.
#[derive(Debug, Args)]
pub(super) struct LockOptions {
    /// Where the digests of bases are pinned [default: zipship.lock in the function's directory, or beside its zip].
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Fail when the base's tag is not pinned, or stands for another digest by now.
    #[arg(long, conflicts_with = "update_base")]
    locked: bool,
    /// Pin the base to what its tag stands for now.
    #[arg(long)]
    update_base: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    version: u32,
    #[serde(default, rename = "base")]
    bases: Vec<Pin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    name: String,
    digest: Digest,
}

/// Looks a base up and holds it against its pin. A base that is named by its digest needs none. What comes back is the
/// pinned one, and where it is.
pub(super) fn pinned(
    options: &LockOptions,
    function: &Path,
    reference: &Reference,
    source: Source,
) -> anyhow::Result<(Source, Found)> {
    if reference.digest.is_some() {
        let found = wait(source.find())??;
        return Ok((source, found));
    }
    let path = options.lock.clone().unwrap_or_else(|| default_place(function));
    let mut lock = Lock::read(&path)?;
    let name = reference.to_string();
    let pin = lock.bases.iter().find(|pin| pin.name == name).map(|pin| pin.digest.clone());
    let now = match wait(source.find())? {
        // A tag that is gone has moved, too.
        Err(error) if pin.is_some() && !options.update_base && is_gone(&error) => None,
        now => Some(now?),
    };
    let Some(pin) = pin else {
        let now = now.context("it was looked up a moment ago")?;
        if options.locked {
            bail!("--locked: {name} is not pinned in {}; it is {} now", path.display(), now.digest);
        }
        lock.set(&name, &now.digest);
        match lock.write(&path) {
            Ok(()) => eprintln!("pinned {name} to {} in {}", now.digest, path.display()),
            Err(error) => eprintln!(
                "warning: {name} ({}) is not pinned, for {} cannot be written: {error}; name another place with --lock",
                now.digest,
                path.display()
            ),
        }
        return Ok((source, now));
    };
    match now {
        Some(now) if now.digest == pin => return Ok((source, now)),
        Some(now) if options.update_base => {
            lock.set(&name, &now.digest);
            lock.write(&path).with_context(|| format!("writing {}", path.display()))?;
            eprintln!("{name} moved: pinned to {} now, it was {pin}", now.digest);
            return Ok((source, now));
        }
        now => {
            let moved = match &now {
                Some(now) => format!("{name} moved: it is {} now and pinned to {pin}", now.digest),
                None => format!("{name} is gone; it is pinned to {pin}"),
            };
            if options.locked {
                bail!("--locked: {moved}");
            }
            eprintln!("warning: {moved}; the pinned one is used (--update-base moves the pin)");
        }
    }
    let Source::Registry { options, reference } = source else { bail!("only tags are pinned") };
    let source = Source::Registry { options, reference: reference.with_digest(pin) };
    let found = wait(source.find())?;
    Ok((source, found.context("the pinned digest; --update-base pins what the tag stands for now")?))
}

fn default_place(function: &Path) -> PathBuf {
    match function.is_dir() {
        true => function.join(FILE),
        false => function.with_file_name(FILE),
    }
}

fn is_gone(error: &SourceError) -> bool {
    matches!(error, SourceError::Client(error) if error.status().is_some_and(|status| status.as_u16() == 404))
}

impl Lock {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let about = || format!("reading {}", path.display());
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, bases: Vec::new() });
            }
            text => text.with_context(about)?,
        };
        let lock: Self = toml::from_str(&text).with_context(about)?;
        if lock.version != VERSION {
            bail!("{} is of version {}; this zipship knows version {VERSION}", path.display(), lock.version);
        }
        Ok(lock)
    }

    fn set(&mut self, name: &str, digest: &Digest) {
        self.bases.retain(|pin| pin.name != name);
        self.bases.push(Pin { name: name.to_owned(), digest: digest.clone() });
        self.bases.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Whole or not at all.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(HEAD.as_bytes())?;
        file.write_all(toml::to_string(self)?.as_bytes())?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_kept_in_order_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut lock = Lock::read(&path).unwrap();
        lock.set("b", &Digest::of(b"1"));
        lock.set("a", &Digest::of(b"2"));
        lock.set("b", &Digest::of(b"3"));
        lock.write(&path).unwrap();
        let read = Lock::read(&path).unwrap();
        let names: Vec<_> = read.bases.iter().map(|pin| (&*pin.name, pin.digest.clone())).collect();
        assert_eq!(names, [("a", Digest::of(b"2")), ("b", Digest::of(b"3"))]);
        assert!(fs::read_to_string(&path).unwrap().starts_with("# The digests"));
        fs::write(&path, "version = 2\n").unwrap();
        assert!(Lock::read(&path).unwrap_err().to_string().contains("version 2"));
    }

    #[test]
    fn the_lock_lies_with_the_function() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(default_place(folder.path()), folder.path().join(FILE));
        assert_eq!(default_place(Path::new("out/f.zip")), Path::new("out").join(FILE));
    }
}
