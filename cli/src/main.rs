//! `zipship`: the command line.

mod commands;
mod log;

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
    /// Builds a function's image from its zip or directory, and pushes it.
    Build(commands::build::Build),
    /// Pushes an OCI image layout to a registry.
    Push(commands::push::Push),
    /// Shows an image of a registry or a layout.
    Inspect(commands::inspect::Inspect),
    /// Base images of the runtimes: build, list, update.
    Images(commands::images::Images),
    /// Runs everything on this machine: API, registry, builds, gateway, functions. Needs root.
    Serve(commands::serve::Serve),
    /// The unprivileged part of `serve`, which starts it.
    #[command(hide = true)]
    Server(commands::serve::Serve),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Build(build) => commands::build::run(&build),
        Command::Push(push) => commands::push::run(&push),
        Command::Inspect(inspect) => commands::inspect::run(&inspect),
        Command::Images(images) => commands::images::run(&images).map(|()| ExitCode::SUCCESS),
        Command::Serve(serve) => commands::serve::run(serve),
        Command::Server(serve) => commands::server::run(serve),
    };
    match result {
        Ok(code) => code,
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
