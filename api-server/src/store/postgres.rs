//! PostgreSQL: one writer connection and a pool of readers, both of which come back by themselves after the
//! database was away.
//!
//! Two advisory locks stand for what a file gives SQLite. Each write holds that of [`BEGIN`] to its end, so writes of all
//! programs that have this database open go one after the other, as with `BEGIN IMMEDIATE`. The server's writer
//! holds [`SERVER`] for as long as it is connected; a server that cannot have it does not write.

use std::time::Duration;

use sqlx::{
    AnyConnection, AnyPool, Connection as _, Row as _,
    any::{AnyConnectOptions, AnyPoolOptions},
};

use super::{DatabaseUrl, StoreError};

/// Both statements in one round trip. The number is `zipship` and a byte 1; see the test.
pub(super) const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(8820704986157117441)";

/// The server's lock, of the session.
const SERVER: i64 = i64::from_be_bytes(*b"zipship\0");

const READERS: u32 = 8;
/// How long anything waits for a connection, a new one to a database that restarts included.
const WAIT: Duration = Duration::from_secs(5);
/// How long a write waits for those before it.
const WAIT_FOR_WRITER: Duration = Duration::from_secs(10);
/// How long a new writer connection waits for its predecessor's lock before it says so.
const RETAKE: Duration = Duration::from_secs(1);
/// How long a start waits for the session of a server that was just killed to end.
const TAKEOVER: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// For every session. The keepalives are the database's: a server whose machine is gone loses its lock after 30 s.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s'; SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3; SET tcp_user_timeout = '30s'";
/// For readers: all statements of a transaction see one moment.
const READER: &str =
    "SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on";

/// Who opens the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The server: one at a time.
    Server,
    /// A command, beside it.
    Command,
}

/// The writer and the readers of a database that can be reached.
pub(super) async fn pools(url: &DatabaseUrl, role: Role) -> Result<(AnyPool, AnyPool), StoreError> {
    let options: AnyConnectOptions = url.expose().parse()?;
    greet(url, &options, role).await?;
    // The server's lock lives and dies with the writer's session, which is therefore never renewed for its age.
    let writer = pool(1).acquire_timeout(WAIT_FOR_WRITER).idle_timeout(None).max_lifetime(None);
    let writer = writer.after_connect(move |connection, _| {
        Box::pin(async move {
            sqlx::raw_sql(SESSION).execute(&mut *connection).await?;
            match role {
                Role::Command => Ok(()),
                Role::Server if take(connection, RETAKE).await? => Ok(()),
                Role::Server => {
                    Err(sqlx::Error::Protocol("another zipship serves from this database".into()))
                }
            }
        })
    });
    let readers = pool(READERS).after_connect(|connection, _| {
        Box::pin(async move {
            sqlx::raw_sql(SESSION).execute(&mut *connection).await?;
            sqlx::raw_sql(READER).execute(connection).await?;
            Ok(())
        })
    });
    Ok((writer.connect_with(options.clone()).await?, readers.connect_lazy_with(options)))
}

/// A connection that broke while it was idle is replaced before anybody gets it.
fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).test_before_acquire(true).acquire_timeout(WAIT)
}

/// Says in words what a pool would only say in its log: the database is not there, or somebody serves from it.
async fn greet(url: &DatabaseUrl, options: &AnyConnectOptions, role: Role) -> Result<(), StoreError> {
    let unreachable = |source| StoreError::Unreachable { place: url.to_string(), source };
    let connected = tokio::time::timeout(WAIT, AnyConnection::connect_with(options)).await;
    let mut connection =
        connected.map_err(|_| unreachable(sqlx::Error::PoolTimedOut))?.map_err(unreachable)?;
    if role == Role::Server && !take(&mut connection, TAKEOVER).await? {
        let holder = holder(&mut connection).await?;
        return Err(StoreError::InUse { place: url.to_string(), holder });
    }
    connection.close().await?;
    Ok(())
}

/// Takes the server's lock, within `patience`. The kernel closes a killed server's connections at once, and the
/// database sees that when it has done what it was at.
async fn take(connection: &mut AnyConnection, patience: Duration) -> Result<bool, sqlx::Error> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let row = sqlx::query("SELECT pg_try_advisory_lock($1) AS taken")
            .bind(SERVER)
            .fetch_one(&mut *connection)
            .await?;
        if row.try_get("taken")? {
            return Ok(true);
        }
        if tokio::time::Instant::now() > deadline {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Who has the server's lock, as far as the database tells this user.
async fn holder(connection: &mut AnyConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::query(
        "SELECT COALESCE(host(a.client_addr), 'a socket') AS client, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS') AS since
         FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = $1 >> 32
            AND l.objid::bigint = $1 & 4294967295
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(SERVER)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok("another one".to_owned()) };
    let (client, since): (Option<String>, Option<String>) = (row.try_get("client")?, row.try_get("since")?);
    Ok(format!("one on {}, since {} UTC", client.unwrap_or_default(), since.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_locks_differ_in_their_last_byte() {
        assert!(BEGIN.contains(&format!("({})", SERVER + 1)));
    }
}
