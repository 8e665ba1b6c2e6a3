//! `zipship completion`: what a shell needs to complete commands and options.

use std::io::Write as _;

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
pub(crate) fn run(completion: &Completion, mut command: Command) -> anyhow::Result<()> {
    // Not to standard output itself: the generator panics when its reader has gone.
    let mut script = Vec::new();
    clap_complete::generate(completion.shell, &mut command, "zipship", &mut script);
    match std::io::stdout().write_all(&script) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
