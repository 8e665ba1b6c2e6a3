//! `zipship`: the command line.

mod api;
mod commands;
mod configuration;
mod go_proxy;
mod local;
mod log;
mod programs;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Functions from a zip: an open implementation of the Scaleway Functions API.
#[derive(Debug, Parser)]
#[command(name = "zipship", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the functions of a directory on this machine and reloads them when their files change.
    Dev(commands::dev::Dev),
    /// Sends one request to a function, from a directory on this machine.
    Invoke(commands::invoke::Invoke),
    /// Builds a function's image from its zip or directory, and pushes it.
    Build(Box<commands::build::Build>),
    /// Pushes an OCI image layout to a registry.
    Push(commands::push::Push),
    /// Shows an image of a registry or a layout.
    Inspect(commands::inspect::Inspect),
    /// Lists and cleans a registry.
    Registry(commands::registry::command::Registry),
    /// Crons of a server: create, list, get, update, delete.
    #[command(visible_alias = "crons")]
    Cron(commands::cron::Cron),
    /// Base images of the runtimes: build, list, update.
    Images(commands::images::Images),
    /// API keys of a server on this machine: create, list, revoke.
    Keys(commands::keys::Keys),
    /// Secrets that a server on this machine keeps: rotate the key that seals them.
    Secrets(commands::secrets::Secrets),
    /// Runs everything on this machine: API, registry, builds, gateway, functions. Needs root.
    Serve(Box<commands::serve::Serve>),
    /// The configuration of `serve`: what holds and where it is from.
    Config(commands::config::Config),
    /// The unprivileged part of `serve`, which starts it.
    #[command(hide = true)]
    Server,
    /// What `dev` and `invoke` start, which becomes the shim.
    #[command(hide = true)]
    LocalShim(commands::local_shim::LocalShim),
}

fn main() -> ExitCode {
    let completed = match configuration::complete(&Arguments::command(), std::env::args_os().collect()) {
        Ok(completed) => completed,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let arguments = match Arguments::try_parse_from(completed.argv) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let result = match arguments.command {
        Command::Dev(dev) => commands::dev::run(&dev),
        Command::Invoke(invoke) => commands::invoke::run(&invoke),
        Command::LocalShim(shim) => commands::local_shim::run(&shim),
        Command::Build(build) => commands::build::run(&build),
        Command::Push(push) => commands::push::run(&push),
        Command::Inspect(inspect) => commands::inspect::run(&inspect),
        Command::Registry(registry) => commands::registry::command::run(&registry),
        Command::Cron(cron) => commands::cron::run(&cron),
        Command::Images(images) => commands::images::run(&images).map(|()| ExitCode::SUCCESS),
        Command::Keys(keys) => commands::keys::run(&keys),
        Command::Secrets(secrets) => commands::secrets::run(&secrets),
        Command::Serve(serve) => commands::serve::run(*serve, &completed.given),
        Command::Config(config) => commands::config::run(&config),
        Command::Server => commands::server::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<local::Usage>() { ExitCode::from(local::EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Wrong arguments, or help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody may read it: then the exit code says it alone.
    let _ = error.print();
    let name = std::env::args().nth(1);
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if matches!(name.as_deref(), Some("dev" | "invoke")) => ExitCode::from(local::EXIT_USAGE),
        _ => ExitCode::from(2),
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
