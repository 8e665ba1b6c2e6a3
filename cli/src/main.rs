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
    /// Deploys a directory as a function and prints its URL.
    Deploy(Box<commands::deploy::Deploy>),
    /// Sends one request to a function: a deployed one, or one in a directory on this machine.
    Invoke(Box<commands::invoke::Invoke>),
    /// Builds a function's image from its zip or directory, and pushes it.
    Build(Box<commands::build::Build>),
    /// Pushes an OCI image layout to a registry.
    Push(commands::push::Push),
    /// Shows an image of a registry or a layout.
    Inspect(commands::inspect::Inspect),
    /// Lists and cleans a registry.
    Registry(commands::registry::command::Registry),
    /// Namespaces of a server: create, list, get, update, delete.
    #[command(visible_alias = "namespaces")]
    Namespace(commands::namespace::NamespaceCommand),
    /// Functions of a server: create, list, get, update, upload, deploy, delete.
    #[command(visible_alias = "functions")]
    Function(commands::function::FunctionCommand),
    /// Containers of a server: create, list, get, update, deploy, delete.
    #[command(visible_alias = "containers")]
    Container(commands::container::ContainerCommand),
    /// Tokens for callers of private functions and containers.
    #[command(visible_alias = "tokens")]
    Token(commands::token::TokenCommand),
    /// What functions and containers used.
    Usage(commands::usage::Usage),
    /// What a function or container said, and what the platform did with it.
    Logs(commands::logs::Logs),
    /// Crons of a server: create, list, get, update, delete.
    #[command(visible_alias = "crons")]
    Cron(commands::cron::CronCommand),
    /// Base images of the runtimes: build, list, update.
    Images(commands::images::Images),
    /// API keys of a server on this machine: create, list, revoke.
    Keys(commands::keys::Keys),
    /// Secrets that a server on this machine keeps: rotate the key that seals them.
    Secrets(commands::secrets::Secrets),
    /// Locks a namespace, function or container of a server on this machine.
    Lock(commands::lock::Lock),
    /// Takes a lock away.
    Unlock(commands::lock::Unlock),
    /// Writes the state of a server on this machine to a file, while it runs.
    Backup(commands::backup::Backup),
    /// Makes a backup the state of a server on this machine, which does not run.
    Restore(commands::restore::Restore),
    /// Runs everything on this machine: API, registry, builds, gateway, functions. Needs root.
    Serve(Box<commands::serve::Serve>),
    /// The configuration of `serve`: what holds and where it is from.
    Config(commands::config::Config),
    /// Prints a script that completes commands in a shell.
    Completion(commands::completion::Completion),
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
        Command::Deploy(deploy) => commands::deploy::run(&deploy),
        Command::Invoke(invoke) => commands::invoke::run(&invoke),
        Command::LocalShim(shim) => commands::local_shim::run(&shim),
        Command::Build(build) => commands::build::run(&build),
        Command::Push(push) => commands::push::run(&push),
        Command::Inspect(inspect) => commands::inspect::run(&inspect),
        Command::Registry(registry) => commands::registry::command::run(&registry),
        Command::Namespace(command) => commands::namespace::run(&command),
        Command::Function(command) => commands::function::run(&command),
        Command::Container(command) => commands::container::run(&command),
        Command::Token(command) => commands::token::run(&command),
        Command::Usage(usage) => commands::usage::run(&usage),
        Command::Logs(logs) => commands::logs::run(&logs),
        Command::Cron(cron) => commands::cron::run(&cron),
        Command::Images(images) => commands::images::run(&images).map(|()| ExitCode::SUCCESS),
        Command::Lock(lock) => commands::lock::lock(&lock),
        Command::Unlock(unlock) => commands::lock::unlock(&unlock),
        Command::Keys(keys) => commands::keys::run(&keys),
        Command::Backup(backup) => commands::backup::run(&backup),
        Command::Restore(restore) => commands::restore::run(&restore),
        Command::Secrets(secrets) => commands::secrets::run(&secrets),
        Command::Serve(serve) => commands::serve::run(*serve, &completed.given),
        Command::Config(config) => commands::config::run(&config),
        Command::Completion(completion) => {
            commands::completion::run(&completion, Arguments::command()).map(|()| ExitCode::SUCCESS)
        }
        Command::Server => commands::server::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            if error.is::<local::Usage>() { ExitCode::from(wrong_arguments()) } else { ExitCode::FAILURE }
        }
    }
}

/// An error and its causes, but for those that the one before has told already.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Wrong arguments, or help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody may read it: then the exit code says it alone.
    let _ = error.print();
    if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::from(wrong_arguments()) }
}

/// `dev` and `invoke` use the exit codes of `sysexits.h`, since others mean something of the function there.
fn wrong_arguments() -> u8 {
    match std::env::args().nth(1).as_deref() {
        Some("dev" | "invoke") => local::EXIT_USAGE,
        _ => 2,
    }
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("opening it: {0}")]
        struct Telling(#[source] std::io::Error);
        let cause = || std::io::Error::other("no room");
        let telling = anyhow::Error::new(Telling(cause())).context("the start");
        assert_eq!(super::told(&telling), "the start: opening it: no room");
        let silent = anyhow::Error::new(cause()).context("opening it").context("the start");
        assert_eq!(super::told(&silent), "the start: opening it: no room");
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Arguments::command().debug_assert();
    }
}
