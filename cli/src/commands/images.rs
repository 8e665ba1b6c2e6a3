//! `zipship images build | list | update | verify`: the runtimes' base images, and the build images.

mod build;
pub(crate) mod defaults;
mod list;
mod progress;
mod sources;
mod targets;
mod update;
mod verify;

use clap::{Args, Subcommand};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong arguments.";

/// Base images of the runtimes, and images to install a function's dependencies in.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Images {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Builds images from their recipes and locks; one that is built already is found at once.
    #[command(after_help = EXIT_CODES)]
    Build(build::Build),
    /// Lists the images that are in use.
    #[command(after_help = EXIT_CODES)]
    List(list::List),
    /// Builds images twice, under other circumstances, and compares: exit code 1 when they differ.
    #[command(after_help = EXIT_CODES)]
    Verify(verify::Verify),
    /// Writes locks anew with the newest packages; needs apt, and npm or pip where a recipe names packages of them.
    #[command(after_help = EXIT_CODES)]
    Update(update::Update),
}

/// Runs the sub-command.
pub(crate) fn run(images: &Images) -> anyhow::Result<()> {
    match &images.action {
        Action::Build(arguments) => build::run(arguments),
        Action::List(arguments) => list::run(arguments),
        Action::Update(arguments) => update::run(arguments),
        Action::Verify(arguments) => verify::run(arguments),
    }
}
