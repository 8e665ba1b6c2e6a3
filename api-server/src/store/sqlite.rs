//! SQLite: one file, one writer connection, readers that never wait for it (WAL).

use std::{path::Path, time::Duration};

use sqlx::{
    AnyConnection, AnyPool, Connection as _,
    any::{AnyConnectOptions, AnyPoolOptions},
};

use super::StoreError;

/// Takes the write lock at once: two transactions that read first and then write could not both go on.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

const READERS: u32 = 4;
const WAIT_FOR_WRITER: Duration = Duration::from_secs(30);
const PATH_IN_URL: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'?').add(b'#').add(b'%').add(b'"').add(b'<').add(b'>');

/// The writer of the file at `path`, which is made when there is none, and its readers.
pub(super) async fn pools(path: &Path) -> Result<(AnyPool, AnyPool), StoreError> {
    let options: AnyConnectOptions = url(path, "mode=rwc").parse()?;
    let writer = pool(1).acquire_timeout(WAIT_FOR_WRITER).connect_with(options.clone()).await?;
    Ok((writer, pool(READERS).connect_lazy_with(options)))
}

/// A copy that nobody changes, read without making any file beside it.
pub(super) async fn read_copy(path: &Path) -> Result<AnyConnection, StoreError> {
    Ok(AnyConnection::connect(&url(path, "mode=ro&immutable=true")).await?)
}

fn url(path: &Path, parameters: &str) -> String {
    let path = path.to_string_lossy();
    format!("sqlite://{}?{parameters}", percent_encoding::utf8_percent_encode(&path, PATH_IN_URL))
}

fn pool(connections: u32) -> AnyPoolOptions {
    let options = AnyPoolOptions::new().max_connections(connections).test_before_acquire(false);
    // When the disk is full SQLite ends a transaction by itself, and the driver, whose own end then fails, believes in it
    // for ever: no other could begin. Such a connection is closed, and another one opened.
    let options =
        options.before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }));
    options.after_connect(|connection, _| {
        Box::pin(async move {
            // FULL: a deploy or a key that was answered is not lost in a power cut. The timeout is a net for
            // other programs that open the file; we never wait for ourselves.
            for pragma in [
                "PRAGMA busy_timeout = 5000",
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = FULL",
                "PRAGMA foreign_keys = ON",
            ] {
                sqlx::query(pragma).execute(&mut *connection).await?;
            }
            Ok(())
        })
    })
}
