//! `zipship keys`: the API keys of a server on this machine, made, listed and revoked in its store. It may run
//! meanwhile: it looks a key up at each request.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use api_server::store::{Bootstrap, KeyRow, Store, StoreError, now_ms};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::instant;
use super::resource::cell;
use super::state::OwnState;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 nothing could be done (the reason is on standard error), \
    2 wrong arguments.";

/// API keys: who may use the API and the registry.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a key and prints it, this once: only its hash is kept.
    Create(Create),
    /// Lists the keys, not their secrets.
    List(List),
    /// Revokes a key at once.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    /// Whose key; not needed while there is one organization only.
    #[arg(long, value_name = "ID", conflicts_with = "new_organization")]
    organization: Option<String>,
    /// Make an organization for it, which sees nothing of the others.
    #[arg(long)]
    new_organization: bool,
    /// What the key is for.
    #[arg(long, value_name = "TEXT", conflicts_with = "new_organization")]
    name: Option<String>,
    /// When it ends: a time from now (90d, 12h, 30m, 10s) or a date (2030-01-31, 2030-01-31T12:00:00Z); without it, never.
    #[arg(long, value_name = "WHEN", value_parser = instant::parse, conflicts_with = "new_organization")]
    expires: Option<i64>,
    #[command(flatten)]
    place: OwnState,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: OwnState,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The key's id, as `zipship keys list` prints it; not the key.
    id: String,
    #[command(flatten)]
    place: OwnState,
}

/// Runs the sub-command.
pub(crate) fn run(keys: &Keys) -> anyhow::Result<ExitCode> {
    match &keys.action {
        Action::Create(create) => create.place.open(async |store| create.run(store).await)?,
        Action::List(list) => list.place.open(async |store| list.run(store).await)?,
        Action::Revoke(revoke) => revoke.place.open(async |store| revoke.run(store).await)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Create {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let (row, key) = if self.new_organization {
            let first = Bootstrap::random();
            store.create_organization(&first).await?;
            let keys = store.keys().await?;
            let own = keys.into_iter().find(|row| row.organization_id == first.organization_id);
            (own.context("the new key was revoked at once")?, first.key)
        } else {
            let organization = self.organization(store).await?;
            let new = store.create_key(&organization, self.name.as_deref(), self.expires).await?;
            (new.row, new.key)
        };
        if self.place.json {
            let mut printed = describe(&row);
            printed["key"] = key.into();
            println!("{printed:#}");
        } else {
            println!("organization {}", row.organization_id);
            println!("id           {}", row.id);
            println!("expires      {}", instant::text(row.expires));
            println!("API key      {key} (shown once; send it as X-Auth-Token)");
        }
        Ok(())
    }

    /// The one that is named, or the only one.
    async fn organization(&self, store: &Store) -> anyhow::Result<String> {
        if let Some(id) = &self.organization {
            return Ok(id.clone());
        }
        let mut all = store.organizations().await?;
        match all.len() {
            1 => Ok(all.remove(0)),
            0 => bail!("there is no organization yet; the server makes the first one when it starts"),
            _ => bail!("--organization says which of {} it is for: {}", all.len(), all.join(", ")),
        }
    }
}

impl List {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let rows = store.keys().await?;
        if self.place.json {
            println!("{:#}", Value::from(rows.iter().map(describe).collect::<Vec<_>>()));
            return Ok(());
        }
        let name = |row: &KeyRow| cell(row.name.as_deref().unwrap_or("-"));
        let width = rows.iter().map(|row| name(row).chars().count()).max().unwrap_or(0).max("name".len());
        println!("{:<36}  {:<36}  {:<width$}  {:<20}  expires", "id", "organization", "name", "created");
        for row in &rows {
            println!(
                "{:<36}  {:<36}  {:<width$}  {:<20}  {}{}",
                row.id,
                row.organization_id,
                name(row),
                instant::text(Some(row.created)),
                instant::text(row.expires),
                if is_expired(row) { " (expired)" } else { "" },
            );
        }
        Ok(())
    }
}

impl Revoke {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let row = match store.revoke_key(&self.id).await {
            Err(StoreError::Missing { .. }) => {
                bail!("key {} was not found; `zipship keys list` shows those that there are", self.id)
            }
            revoked => revoked?,
        };
        let left = store.keys().await?;
        let is_last =
            !left.iter().any(|other| other.organization_id == row.organization_id && !is_expired(other));
        if self.place.json {
            println!("{:#}", describe(&row));
        } else {
            println!("revoked {}", row.id);
        }
        if is_last {
            eprintln!(
                "that was the last good key of organization {id}; make another one with: zipship keys create --organization {id}",
                id = row.organization_id
            );
        }
        Ok(())
    }
}

fn is_expired(row: &KeyRow) -> bool {
    row.expires.is_some_and(|expires| expires <= now_ms())
}

fn describe(row: &KeyRow) -> Value {
    json!({
        "id": row.id,
        "organization_id": row.organization_id,
        "name": row.name,
        "created": instant::text(Some(row.created)),
        "expires": row.expires.map(|expires| instant::text(Some(expires))),
        "expired": is_expired(row),
    })
}
