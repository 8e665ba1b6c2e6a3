//! What the store promises on either database.

use api_server::{
    secrets::{Keys, Sealer},
    store::{Store, StoreError},
};
use serde_json::json;

use crate::harness::Server;

/// Another program's store over the same database.
async fn beside(server: &Server) -> Result<Store, StoreError> {
    let config = &server.state.config;
    let master = Keys::load_or_create(&config.key_file()).unwrap();
    Store::open(&config.database(), Sealer::new(&master)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_two_programs_never_lose_one_another() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    client.function(&namespace, "f").await;
    let (one, two) = (server.state.store.clone(), beside(&server).await.unwrap());
    let add = async |store: Store| {
        for _ in 0..40 {
            store
                .write("function.update", async |tx| {
                    let read = sqlx::query_scalar::<_, i64>("SELECT last_version FROM applications");
                    let now = read.fetch_one(&mut *tx).await?;
                    sqlx::query("UPDATE applications SET last_version = $1")
                        .bind(now + 1)
                        .execute(tx)
                        .await?;
                    Ok(())
                })
                .await
                .unwrap();
        }
    };
    tokio::join!(add(one.clone()), add(two.clone()), add(one.clone()), add(two));
    let read = sqlx::query_scalar::<_, i64>("SELECT last_version FROM applications");
    assert_eq!(read.fetch_one(one.readers()).await.unwrap(), 160);
}

#[tokio::test]
async fn tables_of_a_newer_program_are_left_alone() {
    let server = Server::start().await;
    server
        .state
        .store
        .write("key.create", async |tx| {
            sqlx::query(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (4000, 'of the future', TRUE, $1, 0)",
            )
            .bind(Vec::<u8>::new())
            .execute(tx)
            .await?;
            Ok(())
        })
        .await
        .unwrap();
    let refused = beside(&server).await.err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 4000, .. }), "{refused}");
    assert!(refused.to_string().contains("made by a newer zipship"), "{refused}");
}

#[tokio::test]
async fn text_is_ordered_by_its_bytes() {
    let server = Server::start().await;
    let client = server.client().await;
    for name in ["beta", "Alpha", "alpha", "Beta", "al-pha"] {
        assert_eq!(client.post("namespaces", json!({"name": name})).await.status, 200);
    }
    let list = client.get("namespaces?order_by=name_asc").await;
    let names: Vec<_> = list.body["namespaces"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Alpha", "Beta", "al-pha", "alpha", "beta"]);
}

#[tokio::test]
async fn a_nul_is_refused_in_a_body_and_found_nowhere() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let body = json!({"name": "m", "description": "a\0b"});
    client.post("namespaces", body).await.assert_argument("description", "constraint");
    client.get("namespaces/a%00b").await.assert_error(404, "not_found");
    client.delete("functions/a%00b").await.assert_error(404, "not_found");
    assert_eq!(client.get("namespaces?name=n%00").await.body["total_count"], 0);
    assert_eq!(client.get(&format!("namespaces/{namespace}")).await.status, 200);
}

#[tokio::test]
async fn without_its_database_the_api_answers_503_in_json() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    server.state.store.close().await;
    let answer = client.get(&format!("namespaces/{namespace}")).await;
    answer.assert_error(503, "unavailable");
    assert!(answer.body["message"].as_str().unwrap().contains("try again"), "{answer:?}");
}

#[tokio::test]
async fn a_transaction_that_the_database_ends_by_itself_keeps_no_other_from_writing() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    // As SQLite does when the disk is full; a connection that is cut off.
    let ends = match server.state.config.database_url {
        None => "INSERT OR ROLLBACK INTO namespaces SELECT * FROM namespaces",
        Some(_) => "SELECT pg_terminate_backend(pg_backend_pid())",
    };
    let failed = server.state.store.write("function.update", async |tx| {
        sqlx::query(ends).execute(tx).await?;
        Ok(())
    });
    failed.await.unwrap_err();
    client.function(&namespace, "f").await;
    assert_eq!(client.get("functions").await.body["total_count"], 1);
}
