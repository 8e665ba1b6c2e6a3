//! Databases of PostgreSQL for tests, all in one cluster of this process.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread::{self, JoinHandle},
};

use api_server::{
    secrets::{Keys, Sealer},
    store::{Database, DatabaseUrl, Store},
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use zipship_tests::Postgres;

/// With all tables, empty. Its locale does not order by bytes, as that of many databases.
const TEMPLATE: &str = "zipship_template";

/// A database without rows, dropped when its test is over.
pub(crate) struct TestDatabase {
    pub(crate) name: String,
}

impl TestDatabase {
    pub(crate) fn create() -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        run(format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"));
        Self { name }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        cluster().socket_url(&self.name).parse().unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Nobody waits for it: all goes with the cluster anyway.
        let url = cluster().socket_url("postgres");
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        drop(aside(|| run_at(url, sql)));
    }
}

/// The server that has them.
pub(crate) fn cluster() -> MutexGuard<'static, Postgres> {
    static CLUSTER: OnceLock<Mutex<Postgres>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| {
        let cluster = Postgres::start().unwrap();
        let template = format!(
            "CREATE DATABASE {TEMPLATE} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C.UTF-8'"
        );
        let (maker, made) = (cluster.socket_url("postgres"), cluster.socket_url(TEMPLATE));
        aside(|| run_at(maker, template)).join().unwrap();
        aside(|| migrate(made)).join().unwrap();
        Mutex::new(cluster)
    });
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(sql: String) {
    let url = cluster().socket_url("postgres");
    aside(|| run_at(url, sql)).join().unwrap();
}

async fn run_at(url: String, sql: String) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Gives the template its tables, so that they are made once and looked at by each test.
async fn migrate(url: String) {
    let directory = tempfile::tempdir().unwrap();
    let master = Keys::load_or_create(&directory.path().join("key")).unwrap();
    let database = Database::Postgres(url.parse().unwrap());
    Store::open(&database, Sealer::new(&master)).await.unwrap().close().await;
}

/// On a thread of its own: the test's own runtime may be the one that waits.
fn aside<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<()> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work());
    })
}
