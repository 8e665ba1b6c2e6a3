//! `zipship`: the command line.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Functions from a zip: an open implementation of the Scaleway Functions API.
#[derive(Debug, Parser)]
#[command(name = "zipship", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Base images of the runtimes: build, list, update.
    Images(commands::images::Images),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Images(images) => commands::images::run(&images),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Arguments::command().debug_assert();
    }
}
