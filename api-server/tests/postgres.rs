//! What only a store in PostgreSQL meets: a second server, a database that is not there, goes away, or comes back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "api/database.rs"]
mod database;

use api_server::{
    secrets::{Keys, Sealer},
    store::{Bootstrap, Database, Store, StoreError, new_id},
};
use database::{TestDatabase, cluster};
use zipship_tests::{Postgres, free_port};

fn at(url: &str) -> Database {
    Database::Postgres(url.parse().unwrap())
}

fn sealer() -> Sealer {
    let directory = tempfile::tempdir().unwrap();
    Sealer::new(&Keys::load_or_create(&directory.path().join("key")).unwrap())
}

fn organization() -> Bootstrap {
    Bootstrap { organization_id: new_id(), key: new_id() }
}

#[tokio::test]
async fn a_second_server_is_refused_while_commands_go_beside_the_first() {
    let database = TestDatabase::create();
    let place = Database::Postgres(database.url());
    let first = Store::serve(&place, sealer()).await.unwrap();
    let command = Store::open(&place, sealer()).await.unwrap();
    let made = organization();
    command.create_organization(&made).await.unwrap();
    assert_eq!(first.organization_of_key(&made.key).await.unwrap(), Some(made.organization_id));
    let refused = Store::serve(&place, sealer()).await.err().unwrap();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains("another zipship serves from the database test_") && text.contains("since 2"),
        "{text}"
    );
    first.close().await;
    Store::serve(&place, sealer()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_lost_its_lock_does_not_write() {
    let database = TestDatabase::create();
    let place = Database::Postgres(database.url());
    let first = Store::serve(&place, sealer()).await.unwrap();
    // As when the network was away for long: the database ended the writer's session, and another server came.
    let command = Store::open(&place, sealer()).await.unwrap();
    command
        .write("key.create", async |tx| {
            // Of this test's database alone: the others are in the same cluster.
            sqlx::query(
                "SELECT COUNT(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE l.locktype = 'advisory' AND l.pid <> pg_backend_pid() AND d.datname = current_database()",
            )
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
        .unwrap();
    let second = Store::serve(&place, sealer()).await.unwrap();
    let refused = first.create_organization(&organization()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    second.create_organization(&organization()).await.unwrap();
    second.close().await;
    first.create_organization(&organization()).await.unwrap();
}

#[tokio::test]
async fn readers_see_one_moment_and_write_nothing() {
    let database = TestDatabase::create();
    let store = Store::serve(&Database::Postgres(database.url()), sealer()).await.unwrap();
    let count = "SELECT COUNT(*) AS n FROM organizations";
    let mut reader = store.readers().begin().await.unwrap();
    let before = sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *reader).await.unwrap();
    store.create_organization(&organization()).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *reader).await.unwrap(), before);
    let refused = sqlx::query("DELETE FROM organizations").execute(&mut *reader).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "25006");
    drop(reader);
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(store.readers()).await.unwrap(), before + 1);
}

#[tokio::test]
async fn a_database_that_cannot_be_had_is_named_and_its_password_is_not() {
    let database = TestDatabase::create();
    let (name, port) = (database.name.clone(), free_port().unwrap());
    let there = cluster().url(&name);
    let password = cluster().password();
    for (url, place, cause) in [
        (
            format!("postgres://zipship:hunter2@127.0.0.1:{port}/ship"),
            format!("ship at 127.0.0.1:{port}"),
            "refused",
        ),
        (there.replacen(password, "hunter2", 1), name.clone(), "password authentication failed"),
        (there.replacen(&name, "hunter3", 1), "hunter3 at 127.0.0.1".to_owned(), "does not exist"),
        // It has no certificate, and must not be taken without one.
        (format!("{there}?sslmode=require"), name, "TLS"),
    ] {
        let error = Store::serve(&at(&url), sealer()).await.err().unwrap();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(&place) && text.contains(cause), "{text}");
        assert!(!text.contains("hunter2") && !text.contains(password), "{text}");
    }
    Store::serve(&at(&there), sealer()).await.unwrap();
}

#[tokio::test]
async fn a_store_outlives_a_restart_of_its_database() {
    let mut cluster = Postgres::start().unwrap();
    let store = Store::serve(&at(&cluster.url("postgres")), sealer()).await.unwrap();
    let first = organization();
    store.create_organization(&first).await.unwrap();
    cluster.pause().unwrap();
    let away = store.organization_of_key(&first.key).await.unwrap_err();
    assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
    // What waits while it comes back does not fail.
    let waits = tokio::spawn({
        let (store, second) = (store.clone(), organization());
        async move { store.create_organization(&second).await }
    });
    cluster.resume().unwrap();
    waits.await.unwrap().unwrap();
    for _ in 0..20 {
        let found = store.organization_of_key(&first.key).await.unwrap();
        assert_eq!(found.as_ref(), Some(&first.organization_id));
        store.create_organization(&organization()).await.unwrap();
    }
}
