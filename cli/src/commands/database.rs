//! Which database holds a server's state: arguments of every command that opens it.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use api_server::store::DatabaseUrl;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::configuration::secret;

/// Where the state is.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArguments {
    /// Keep the state in this PostgreSQL database, not in a SQLite file of the data directory. On the command line
    /// everybody on the machine can read it: one with a password belongs in ZIPSHIP_DATABASE_URL or in a file.
    #[arg(long, value_parser = secret, value_name = "postgres://USER:PASSWORD@HOST/DATABASE")]
    database_url: Option<SecretString>,
    /// A file with the URL of that database.
    #[arg(long, conflicts_with = "database_url", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
}

impl DatabaseArguments {
    /// The PostgreSQL database, if there is to be one.
    pub(crate) fn url(&self) -> anyhow::Result<Option<DatabaseUrl>> {
        let url = match (&self.database_url, &self.database_url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => fs::read_to_string(file)
                .with_context(|| format!("reading the database's URL from {}", file.display()))?
                .into(),
            (None, None) => return Ok(None),
        };
        Ok(Some(url.expose_secret().parse()?))
    }
}
