//! `zipship registry list` and `zipship registry clean`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::clean::Clean;
use super::list::List;
use super::{EXIT_REGISTRY, wait};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 nothing could be done (the reason is on standard error), \
    2 wrong arguments, 3 the registry failed or refused.";

/// What is in a registry, and removing what nobody needs.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Registry {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the repositories of a registry, or the tags of a repository, with their sizes.
    List(List),
    /// Removes old tags and what no tag reaches from a repository. What a function runs stays.
    Clean(Clean),
}

/// Runs the sub-command.
pub(crate) fn run(arguments: &Registry) -> anyhow::Result<ExitCode> {
    let done = match &arguments.action {
        Action::List(list) => wait(list.run())?,
        Action::Clean(clean) => wait(clean.run())?,
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(EXIT_REGISTRY))
        }
    }
}
