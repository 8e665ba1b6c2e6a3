//! `zipship restore`: a backup becomes the state of a server on this machine, which does not run.
//!
//! Everything is read into `restoring/` of the data directory and checked there. Then `restoring/` becomes `restored/`,
//! and changes places with `server/` in one step. What is called `restored/` is whole, then: either it was not put in
//! place any more, or it is what was there before. The next restore moves it aside; it never removes it.

use std::{
    fs::{self, File},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use api_server::{
    backup::{self, Manifest},
    killpoint,
};
use clap::Args;
use runner::local::{life, server_dir};
use rustix::fs::{RenameFlags, renameat_with};
use serde_json::json;

use super::progress;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 nothing was restored (the reason is on standard error), 2 wrong \
    arguments.";

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Restore {
    /// The backup, made by `zipship backup`.
    file: PathBuf,
    /// The data directory to restore it to.
    #[arg(long, default_value = "/var/lib/zipship", value_name = "DIR")]
    data: PathBuf,
    /// Move the state that is there aside, to a directory beside it that has the time in its name.
    #[arg(long)]
    force: bool,
    /// User and group of the server process, as `zipship serve` has it.
    #[arg(long, default_value_t = super::serve::SERVER_UID, value_name = "ID")]
    uid: u32,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(restore: &Restore) -> anyhow::Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("zipship restore needs root to give the files to the server's user; try: sudo zipship restore");
    }
    let input = File::open(&restore.file).with_context(|| format!("opening {}", restore.file.display()))?;
    let _alone = life::hold(&restore.data)?;
    let places = Places::of(&restore.data);
    places.tidy()?;
    if fs::symlink_metadata(&places.server).is_ok() && !restore.force && !places.is_empty()? {
        bail!(
            "there is a server's state in {}: name an empty directory with --data, or move it aside with --force",
            restore.data.display()
        );
    }
    let manifest = places.read(input, restore.uid)?;
    let aside = places.put_in_place()?;
    restore.report(&manifest, aside.as_deref());
    Ok(ExitCode::SUCCESS)
}

impl Restore {
    fn report(&self, manifest: &Manifest, aside: Option<&Path>) {
        for warning in &manifest.warnings {
            eprintln!("warning: {warning}; it was not when the backup was made");
        }
        if manifest.keys.is_empty() {
            eprintln!(
                "the key file is not in this backup: put it to {} (mode 0600, owner {}) before the server starts",
                server_dir(&self.data).join("secret.key").display(),
                self.uid
            );
        }
        if manifest.database != "sqlite" {
            eprintln!(
                "the database is not in this backup: load what pg_dump has saved before the server starts"
            );
        }
        if let Some(bucket) = &manifest.bucket {
            eprintln!("the archives are not in this backup: start the server with --archives {bucket}");
        }
        if self.json {
            let printed = json!({
                "data": self.data, "files": manifest.files.len(), "bytes": manifest.bytes(), "taken": manifest.taken,
                "database": manifest.database, "bucket": manifest.bucket, "keys": manifest.keys, "warnings": manifest.warnings, "aside": aside,
            });
            println!("{printed:#}");
            return;
        }
        println!(
            "restored {} files, {} bytes, as of {}",
            manifest.files.len(),
            manifest.bytes(),
            manifest.taken
        );
        if let Some(aside) = aside {
            println!("what was there before is in {}", aside.display());
        }
    }
}

struct Places {
    data: PathBuf,
    server: PathBuf,
    restoring: PathBuf,
    restored: PathBuf,
}

impl Places {
    fn of(data: &Path) -> Self {
        let (restoring, restored) = (data.join("restoring"), data.join("restored"));
        Self { data: data.to_owned(), server: server_dir(data), restoring, restored }
    }

    /// After one that was killed: what is not whole goes, what is whole moves aside.
    fn tidy(&self) -> anyhow::Result<()> {
        if self.restoring.exists() {
            fs::remove_dir_all(&self.restoring)?;
        }
        if self.restored.exists() {
            let aside = self.move_aside()?;
            eprintln!("a restore was cut off before: what it left is in {}", aside.display());
        }
        Ok(())
    }

    fn is_empty(&self) -> anyhow::Result<bool> {
        Ok(fs::read_dir(&self.server)?.next().is_none())
    }

    /// The whole backup in `restoring/`, on the disk, the server's.
    fn read(&self, input: File, uid: u32) -> anyhow::Result<Manifest> {
        fs::create_dir(&self.restoring).with_context(|| format!("making {}", self.restoring.display()))?;
        fs::set_permissions(&self.restoring, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let bar = progress::bytes("restoring");
        let unpacked = backup::unpack(input, &self.restoring, &|done, all| {
            bar.set_length(all);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let manifest = match unpacked {
            Ok(manifest) => manifest,
            Err(error) => {
                fs::remove_dir_all(&self.restoring)?;
                return Err(error).context("nothing was restored");
            }
        };
        give(&self.restoring, uid)?;
        killpoint::hit("restore.unpack.after");
        rustix::fs::syncfs(File::open(&self.restoring)?)?;
        fs::rename(&self.restoring, &self.restored)?;
        killpoint::hit("restore.place.before");
        Ok(manifest)
    }

    /// `restored/` and `server/` change places. Where the old state is now, if there was one.
    fn put_in_place(&self) -> anyhow::Result<Option<PathBuf>> {
        let there = fs::symlink_metadata(&self.server).is_ok();
        let was_empty = there && self.is_empty()?;
        let flags = if there { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(rustix::fs::CWD, &self.restored, rustix::fs::CWD, &self.server, flags)
            .context("putting the restored state in place")?;
        killpoint::hit("restore.place.after");
        let aside = match (there, was_empty) {
            (true, true) => {
                fs::remove_dir(&self.restored)?;
                None
            }
            (true, false) => Some(self.move_aside()?),
            (false, _) => None,
        };
        File::open(&self.data)?.sync_all()?;
        Ok(aside)
    }

    fn move_aside(&self) -> anyhow::Result<PathBuf> {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S%.3fZ");
        let aside = self.data.join(format!("server.old-{now}"));
        renameat_with(rustix::fs::CWD, &self.restored, rustix::fs::CWD, &aside, RenameFlags::NOREPLACE)
            .with_context(|| format!("moving {} aside", self.restored.display()))?;
        Ok(aside)
    }
}

/// A directory and all below it become a user's.
fn give(path: &Path, uid: u32) -> anyhow::Result<()> {
    chown(path, Some(uid), Some(uid)).with_context(|| format!("giving {} to user {uid}", path.display()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid)?;
        }
    }
    Ok(())
}
