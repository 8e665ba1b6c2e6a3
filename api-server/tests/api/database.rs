//! Databases of PostgreSQL for tests, all in one cluster of this process.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use api_server::store::DatabaseUrl;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use zipship_tests::Postgres;

/// Without tables. Its locale does not order by bytes, as that of many databases.
const TEMPLATE: &str = "zipship_template";

/// An empty database, dropped at the end of its test.
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
        run(format!("DROP DATABASE {} WITH (FORCE)", self.name));
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
        run_at(cluster.socket_url("postgres"), template);
        Mutex::new(cluster)
    });
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(sql: String) {
    let url = cluster().socket_url("postgres");
    run_at(url, sql);
}

/// On a thread of its own: the test's own runtime may be the one that waits.
fn run_at(url: String, sql: String) {
    let done = thread::spawn(move || {
        sqlx::any::install_default_drivers();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = AnyConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    });
    done.join().unwrap();
}
