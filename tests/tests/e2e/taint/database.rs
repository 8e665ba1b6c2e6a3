//! The store in PostgreSQL: all that it keeps is searched too, and the database goes away in a deploy.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use zipship_tests::{Function, Postgres, Zip};

use super::{
    Before, NODE, World,
    failures::until,
    files, files_as_they_are, is_new,
    routes::Caller,
    search::{Found, Search, Secret, Seen},
};

/// What was committed is kept over a crash.
const OPTIONS: &str = "?options=-c%20synchronous_commit%3Don";
/// The first of the files to which everything is written ahead.
const FIRST_OF_WAL: &str = "pg_wal/000000010000000000000001";
const PLANTED: &str = "CREATE TABLE planted AS SELECT 'taint-planted-in-the-database' AS value";

pub(super) struct Database {
    postgres: Postgres,
    url_file: String,
    /// In which that is.
    _folder: TempDir,
    before: Before,
}

impl Database {
    pub(super) fn start() -> anyhow::Result<Self> {
        let (postgres, folder) = (Postgres::start()?, tempfile::tempdir()?);
        let before = files_as_they_are(&postgres.data());
        let url_file = folder.path().join("url");
        // Only root can read it, and nobody finds the password in a process.
        fs::write(&url_file, format!("{}{OPTIONS}", postgres.url("postgres")))?;
        fs::set_permissions(&url_file, fs::Permissions::from_mode(0o600))?;
        let url_file = url_file.to_str().context("a path in UTF-8")?.to_owned();
        Ok(Self { postgres, url_file, _folder: folder, before })
    }

    /// For the server, and for commands beside it.
    pub(super) fn arguments(&self) -> [&str; 2] {
        ["--database-url-file", &self.url_file]
    }

    pub(super) fn password(&self) -> Secret {
        Secret::new("the database's password", Seen::Never, self.postgres.password().as_bytes())
    }

    fn sql(&self, sql: &str) -> anyhow::Result<()> {
        let mut psql = self.postgres.program("psql");
        psql.args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", &self.postgres.url("postgres")]);
        let output = psql.args(["--command", sql]).output()?;
        ensure!(output.status.success(), "{sql}: {output:?}");
        Ok(())
    }

    /// Looks through its files, what it wrote ahead and its log; and through all tables once more, as what is long lies
    /// compressed in files.
    pub(super) fn search<'a>(&self, search: &Search<'a>) -> anyhow::Result<Vec<Found<'a>>> {
        self.sql("CHECKPOINT")?;
        let data = self.postgres.data();
        ensure!(data.join(FIRST_OF_WAL).exists(), "what was written ahead at first is no longer there");
        let mut found = search.of("the log of PostgreSQL", self.postgres.log().as_bytes());
        for path in files(&data).into_iter().filter(|path| is_new(path, &self.before)) {
            // One may go meanwhile.
            let Ok(bytes) = fs::read(&path) else { continue };
            // A file of what was written ahead is made in its full length.
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            found.extend(search.of(&path.display().to_string(), &bytes[..end]));
        }
        let dumped = self.postgres.program("pg_dump").arg(self.postgres.url("postgres")).output()?;
        ensure!(dumped.status.success(), "{dumped:?}");
        let tables = String::from_utf8_lossy(&dumped.stdout);
        for table in ["applications", "deploys", "revisions", "namespaces", "api_keys"] {
            ensure!(tables.contains(&format!("COPY public.{table} ")), "{table} is not in the dump");
        }
        found.extend(search.of("a dump of the database", &dumped.stdout));
        Ok(found)
    }

    /// That the search finds what stands in a table: in its file, in what was written ahead, and in the dump.
    pub(super) fn finds_what_is_planted(&self) -> anyhow::Result<()> {
        self.sql(PLANTED)?;
        let secrets = [Secret::new("planted", Seen::Never, b"taint-planted-in-the-database")];
        let places: Vec<_> =
            self.search(&Search::new(&secrets))?.into_iter().map(|found| found.place).collect();
        for place in ["/base/", "/pg_wal/", "a dump of the database"] {
            ensure!(places.iter().any(|found| found.contains(place)), "not in {place}: {places:?}");
        }
        Ok(())
    }
}

impl World {
    /// The database fails while a deploy is under way, and callers ask; it is back then. Whose deploy it was.
    pub(super) async fn the_database_fails(&mut self) -> anyhow::Result<Option<Function>> {
        if self.database.is_none() {
            return Ok(None);
        }
        let api = self.server.api().clone();
        let function = Function::create_in(&api, &self.ids["namespace_id"], NODE).await?;
        // Slow to start, so that it is under way.
        let slow = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);";
        let code = format!("{slow}\nexports.handle = async () => 'back';");
        function.upload(&Zip::of("handler.js", &code).bytes()).await?;
        let region = "/functions/v1alpha2/regions/fr-par";
        let path = format!("{region}/functions/{}", function.id);
        self.ask(Caller::Owner, Method::POST, &format!("{path}/deploy"), Some("{}".into())).await?;
        let is_pushed = |line: &str| line.contains(r#""step":"pushing""#) && line.contains(&function.id);
        until("the deploy pushes", async || Ok(self.server.log().lines().any(is_pushed))).await?;
        self.database_does(Postgres::crash)?;

        let marked = &self.markers["variables in a request body"];
        let body = json!({"environment_variables": {"A": marked}}).to_string();
        let token = format!("{region}/jwt/issue?function_id={}", function.id);
        let asked = [
            (Caller::Owner, Method::GET, &path),
            (Caller::Owner, Method::PATCH, &path),
            (Caller::Another, Method::GET, &path),
            (Caller::Owner, Method::GET, &token),
        ];
        let asked = asked.map(|(caller, method, path)| self.answer(caller, method, path, Some(body.clone())));
        for told in futures_util::future::try_join_all(asked).await? {
            assert_eq!(told.answer.status, 503, "{}", told.what);
            self.told.push(told);
        }
        self.database_does(Postgres::resume)?;
        let path = format!("functions/{}", function.id);
        until("the API comes back", async || Ok(api.get(&path).await?.status == 200)).await?;
        Ok(Some(function))
    }

    fn database_does(&mut self, what: fn(&mut Postgres) -> anyhow::Result<()>) -> anyhow::Result<()> {
        what(&mut self.database.as_mut().context("a database")?.postgres)
    }
}
