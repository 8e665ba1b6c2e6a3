//! A server with 10,000 functions that serve.
//!
//! All are made through the API. One is deployed through it; the others get its version as rows of the database, while
//! the server is down: a real deploy of each would take an hour, and reads, lists and the start do not tell them apart.

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use zipship_tests::{Api, Example, Function, Server};

/// How many.
pub(crate) const FUNCTIONS: usize = 10_000;
const NAMESPACES: usize = 10;
const AT_ONCE: usize = 8;

/// The server and what it has.
pub(super) struct World {
    pub(super) server: Server,
    /// Ids of all functions.
    pub(super) functions: Vec<String>,
}

impl World {
    /// # Errors
    /// When something is refused, or the deployed function does not serve.
    pub(super) async fn make() -> anyhow::Result<Self> {
        let mut server = Server::at_fixed_port()?;
        server.launch(&[])?;
        let example = Example::read("node/hello-json")?;
        let deployed = Function::deployed(server.api(), example.spec(), &example.archive()?).await?;
        let mut functions = vec![deployed.id.clone()];
        for nth in 0..NAMESPACES {
            let count = (FUNCTIONS - functions.len()).div_ceil(NAMESPACES - nth);
            functions.extend(namespace_of(server.api(), nth, count).await?);
        }
        ensure!(functions.len() == FUNCTIONS, "{} functions", functions.len());
        server.halt()?;
        deploy_all_like(&server, &deployed.id).await?;
        server.launch(&[])?;
        let last = server.api().get(&format!("functions/{}", functions[FUNCTIONS - 1])).await?.expect(200);
        ensure!(last["status"] == "ready", "the last function is {}", last["status"]);
        let answer = deployed.call().await?;
        ensure!(answer.status == 200, "the deployed function answers {}: {}", answer.status, answer.text());
        Ok(Self { server, functions })
    }
}

/// A namespace with so many functions; their ids.
async fn namespace_of(api: &Api, nth: usize, count: usize) -> anyhow::Result<Vec<String>> {
    let body = json!({
        "name": format!("many-{nth}"), "organization_id": api.organization(),
        "environment_variables": {"OF": "the namespace"},
    });
    let namespace = api.post("namespaces", &body).await?.expect(200);
    let create = async |number: usize| {
        let body = json!({
            "name": format!("function-{number}"), "namespace_id": namespace["id"], "runtime": "node10",
            "environment_variables": {"OF": "the function", "NUMBER": number.to_string()},
        });
        let created = api.post("functions", &body).await?;
        ensure!(created.status == 200, "a create was answered {}: {}", created.status, created.text());
        Ok(created.json()["id"].as_str().context("an id is a string")?.to_owned())
    };
    let shares = (0..AT_ONCE).map(async |share| {
        let mut ids = Vec::new();
        for number in (share..count).step_by(AT_ONCE) {
            ids.push(create(number).await?);
        }
        anyhow::Ok(ids)
    });
    Ok(try_join_all(shares).await?.concat())
}

async fn deploy_all_like(server: &Server, deployed: &str) -> anyhow::Result<()> {
    let file = server.data().join("server/zipship.db");
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
    let mut tx = database.begin().await?;
    // An id is any text to the store; these are as long as real ones.
    sqlx::query(
        "INSERT INTO revisions (id, application_id, version, config, environment, image_reference, image_digest, created)
         SELECT 'revision' || substr(a.id, 9), a.id, 1, r.config, r.environment, r.image_reference, r.image_digest, r.created
         FROM applications a, revisions r WHERE r.application_id = $1 AND a.id <> $1",
    )
    .bind(deployed)
    .execute(&mut *tx)
    .await?;
    let changed = sqlx::query(
        "UPDATE applications SET state = 'ready', last_version = 1, live_revision = 'revision' || substr(id, 9)
         WHERE id <> $1",
    )
    .bind(deployed)
    .execute(&mut *tx)
    .await?;
    ensure!(changed.rows_affected() as usize == FUNCTIONS - 1, "{} rows", changed.rows_affected());
    tx.commit().await?;
    database.close().await?;
    Ok(())
}
