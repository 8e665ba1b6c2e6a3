//! Configuration of a server: flags win over the environment, the environment over a file, a file over defaults.
//!
//! There is one list, and it is the arguments of `zipship serve`: `--some-name` is the key `some-name` of the file
//! and the variable `ZIPSHIP_SOME_NAME`. So a new argument of [`Serve`](crate::commands::serve::Serve) is in all
//! three, in `zipship config`, in docs/configuration.md (a test says how to write it anew), and reaches the server
//! process ([`hand_over`]) without another line. A few can stand in variables that other programs
//! read too. A value of type `SecretString` is printed nowhere; where there is a
//! secret `x`, an argument `x-file` names a file that root reads for it.

mod file;
mod hand_over;
mod layers;
mod settings;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::{ArgMatches, Args as _, Command};

use crate::commands::serve::Serve;

pub(crate) use hand_over::{hand_over, take_over};
pub(crate) use layers::{Given, LayerError, Source, resolve};
pub(crate) use settings::{Setting, Shape, of_server, secret};

/// What commands beside a server share with it, as far as they have it: where its state is, and whose.
const OF_STATE: [&str; 6] = ["config", "data", "database-url", "database-url-file", "archives", "uid"];

/// A command line with what environment and file add to it.
#[derive(Debug)]
pub(crate) struct Completed {
    /// For the program's own parser.
    pub(crate) argv: Vec<OsString>,
    /// What was set and by what, of a command that has configuration.
    pub(crate) given: Vec<Given>,
}

/// `zipship serve` alone, to read its arguments apart from a whole command line.
pub(crate) fn serve_command() -> Command {
    Serve::augment_args(Command::new("zipship serve"))
}

/// Adds what environment and file say to the command line of `serve`, or of a command that works on a server's
/// state. A command line that can't be read stays as it is: the program's own parser says why.
pub(crate) fn complete(program: &Command, argv: Vec<OsString>) -> Result<Completed, LayerError> {
    let Ok(matches) = program.clone().try_get_matches_from(&argv) else {
        return Ok(Completed { argv, given: Vec::new() });
    };
    let (name, command, matches) = leaf(program, &matches);
    let all = of_server();
    let own =
        |setting: &Setting| command.get_arguments().any(|argument| argument.get_id() == setting.id.as_str());
    let settings: Vec<Setting> = match name {
        "serve" => all,
        _ if command.get_arguments().any(|argument| argument.get_long() == Some("data")) => {
            all.into_iter().filter(|setting| OF_STATE.contains(&setting.name.as_str())).collect()
        }
        _ => Vec::new(),
    };
    if settings.is_empty() {
        return Ok(Completed { argv, given: Vec::new() });
    }
    let given = resolve(command, matches, &settings, &|name| std::env::var_os(name))?;
    // The file may be named where the command has no flag for it.
    let added = given.iter().filter(|given| !matches!(given.source, Source::Flag) && own(&given.setting));
    let more = added.flat_map(Given::arguments);
    let mut argv = argv;
    // What follows `--` is not read as flags.
    let end = argv.iter().position(|argument| argument == "--").unwrap_or(argv.len());
    argv.splice(end..end, more.map(OsString::from));
    Ok(Completed { argv, given })
}

/// The sub-command that was called, by its first name.
fn leaf<'a>(program: &'a Command, matches: &'a ArgMatches) -> (&'a str, &'a Command, &'a ArgMatches) {
    let (mut command, mut matches) = (program, matches);
    while let Some((name, below)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        (command, matches) = (found, below);
    }
    (command.get_name(), command, matches)
}
