//! `zipship secrets`: what a server on this machine keeps sealed. It may run meanwhile.

use std::process::ExitCode;

use api_server::{rotation, store::Store};
use clap::{Args, Subcommand};
use serde_json::json;

use super::state::OwnState;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 nothing could be done or not all of it (the reason is on standard \
    error; the same command goes on where it stopped), 2 wrong arguments.";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Seals everything with a new key and takes the old one out of the key file; a rotation that was cut off goes on.
    Rotate(Rotate),
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    place: OwnState,
}

/// Runs the sub-command.
pub(crate) fn run(secrets: &Secrets) -> anyhow::Result<ExitCode> {
    match &secrets.action {
        Action::Rotate(rotate) => {
            rotate.place.open(async |store| rotate.run(store).await)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Rotate {
    async fn run(&self, store: &Store) -> anyhow::Result<()> {
        let rotated = rotation::rotate(store).await?;
        let removed: Vec<String> = rotated.removed.iter().map(ToString::to_string).collect();
        if self.place.json {
            let printed = json!({
                "key": rotated.key.to_string(),
                "removed": removed,
                "resealed": rotated.values,
                "resumed": rotated.resumed,
            });
            println!("{printed:#}");
            return Ok(());
        }
        if rotated.resumed {
            println!("went on with a rotation that had not ended");
        }
        println!("resealed  {} values", rotated.values);
        println!("key       {} seals now", rotated.key);
        println!("removed   {}", removed.join(", "));
        Ok(())
    }
}
