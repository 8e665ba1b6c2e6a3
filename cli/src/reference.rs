//! docs/cli.md is made of the commands' own descriptions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
/// The command whose settings have a page of their own.
const SERVE: &str = "serve";
/// Writes the page instead of comparing it.
const WRITE: &str = "ZIPSHIP_WRITE_CLI";

#[test]
fn the_page_describes_every_command_and_option() {
    let mut command = super::Arguments::command();
    command.build();
    let page = page(&command);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let there = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        there == page,
        "docs/cli.md is not what the commands say; write it with {WRITE}=1 cargo test -p cli reference"
    );
}

fn page(root: &Command) -> String {
    let mut text = format!(
        "# The command line\n\nEvery command and option of `zipship` but the settings of `serve`, made of the program's own descriptions: the same is \
         behind `--help`. `{WRITE}=1 cargo test -p cli reference` writes this page anew.\n\n{}",
        include_str!("reference/introduction.md")
    );
    visible(root).for_each(|command| describe(command, "zipship", &BTreeSet::new(), &mut text));
    text
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// A command and all below it; `known` are the options that those above it have told already.
fn describe(command: &Command, above: &str, known: &BTreeSet<String>, text: &mut String) {
    let path = format!("{above} {}", command.get_name());
    let level = if above == "zipship" { "##" } else { "###" };
    let mut line = |content: &str| writeln!(text, "{content}\n").unwrap();
    line(&format!("{level} {path}"));
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    line(about.trim());
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        line(&format!("Also: {}.", aliases.join(", ")));
    }
    if visible(command).next().is_none() {
        let usage = command.clone().render_usage().to_string();
        line(&format!("```text\n{}\n```", usage.trim_start_matches("Usage: ").trim()));
    }
    let is_told = |argument: &&Arg| !argument.is_hide_set() && !known.contains(argument.get_id().as_str());
    let is_builtin = |argument: &Arg| matches!(argument.get_id().as_str(), "help" | "version");
    let told: Vec<&Arg> = command.get_arguments().filter(is_told).filter(|one| !is_builtin(one)).collect();
    if command.get_name() == SERVE {
        line("Its settings stand in [configuration.md](configuration.md).");
    } else if !told.is_empty() {
        let rows: Vec<String> = told.iter().map(|argument| row(argument)).collect();
        line(&format!("| | |\n| --- | --- |\n{}", rows.join("\n")));
    }
    if let Some(after) = command.get_after_help() {
        line(&format!("```text\n{}\n```", after.to_string().trim()));
    }
    let mut known = known.clone();
    known.extend(told.iter().filter(|one| one.is_global_set()).map(|one| one.get_id().to_string()));
    visible(command).for_each(|below| describe(below, &path, &known, text));
}

fn row(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default().join(" ");
    let takes = argument.get_action().takes_values();
    let name = match (argument.get_long(), argument.get_short()) {
        (Some(long), Some(short)) => format!("--{long}, -{short}"),
        (Some(long), None) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let name = match (name.is_empty(), takes) {
        (true, _) => values,
        (false, true) => format!("{name} {values}"),
        (false, false) => name,
    };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut help = help.replace('\n', " ");
    if takes && !argument.get_default_values().is_empty() {
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|one| one.to_string_lossy()).collect();
        let _ = write!(help, "; default `{}`", defaults.join(" "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(help, "; variable `{}`", variable.to_string_lossy());
    }
    let possible: Vec<_> =
        argument.get_possible_values().iter().map(|one| format!("`{}`", one.get_name())).collect();
    if takes && !possible.is_empty() {
        let _ = write!(help, "; one of {}", possible.join(", "));
    }
    format!("| `{}` | {} |", name.trim().replace('|', "\\|"), help.trim().replace('|', "\\|"))
}
