//! `zipship completion`: what a shell needs to complete commands and options.

use clap::{Args, Command};
use clap_complete::Shell;

const AFTER: &str = "Examples:
  bash  zipship completion bash > /etc/bash_completion.d/zipship
  zsh   zipship completion zsh > \"${fpath[1]}/_zipship\"
  fish  zipship completion fish > ~/.config/fish/completions/zipship.fish";

/// A script for a shell, on standard output.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Completion {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(completion: &Completion, mut command: Command) {
    clap_complete::generate(completion.shell, &mut command, "zipship", &mut std::io::stdout());
}
