//! The store of a server on this machine, for commands beside it.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use api_server::{
    Config,
    secrets::{Keys, Sealer},
    store::{Database, Store},
};
use clap::Args;
use runner::local::server_dir;
use rustix::process::{Gid, Uid};

use super::database::DatabaseArguments;

/// Where a server's state is.
#[derive(Debug, Args)]
pub(crate) struct OwnState {
    /// The data directory of the server.
    #[arg(long, default_value = "/var/lib/zipship", value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    database: DatabaseArguments,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl OwnState {
    /// Runs `work` on its store.
    pub(crate) fn open<T>(&self, work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.open_with(async |_, store| work(store).await)
    }

    /// Runs `work` on its store and its configuration, as far as commands know that.
    pub(crate) fn open_with<T>(
        &self,
        work: impl AsyncFnOnce(&Config, &Store) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        with(&self.data, &self.database, work)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
}

/// Runs `work` on the store in a data directory, as the user that the server is.
fn with<T>(
    data: &Path,
    database: &DatabaseArguments,
    work: impl AsyncFnOnce(&Config, &Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let place = data.display();
    let nothing = || {
        format!(
            "there is no server's state in {place} that can be read: start `zipship serve --data {place}` once, or try sudo"
        )
    };
    // Root may read what the server's user may not.
    let database_url = database.url()?;
    let own = server_dir(data);
    become_owner(&own).with_context(nothing)?;
    let mut config = Config::new(own);
    config.database_url = database_url;
    fs::metadata(config.key_file()).with_context(nothing)?;
    if let Database::Sqlite(file) = config.database() {
        fs::metadata(file).with_context(nothing)?;
    }
    let key = Keys::load(&config.key_file())?;
    // One thread: it alone has become the owner.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(&config.database(), Sealer::new(&key)).await?;
        let done = work(&config, &store).await;
        store.close().await;
        done
    })
}

/// Root becomes the user that the server's directory belongs to, for good: a link that this user has laid there leads
/// no further than the user gets, and no file of the store becomes root's.
fn become_owner(directory: &Path) -> std::io::Result<()> {
    let found = fs::symlink_metadata(directory)?;
    if !rustix::process::geteuid().is_root() || found.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
