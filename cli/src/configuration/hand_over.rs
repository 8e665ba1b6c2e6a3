//! From `zipship serve`, which is root, to the server process, which is not: the arguments, over a descriptor. So no
//! secret is in a process's arguments or environment, and files that only root may read are read before.

use std::fs;

use anyhow::Context as _;
use clap::FromArgMatches as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{layers::Given, serve_command, settings::Setting};
use crate::commands::serve::Serve;

/// What an argument's name ends in that names a file with the secret of the rest.
const FILE: &str = "-file";

/// The arguments for the server as one text. `instead` replaces what was said of a setting, or adds to it.
pub(crate) fn hand_over(
    given: &[Given],
    settings: &[Setting],
    instead: &[(&str, String)],
) -> anyhow::Result<SecretString> {
    let mut arguments = Vec::new();
    for given in given.iter().filter(|given| instead.iter().all(|(name, _)| *name != given.setting.name)) {
        match secret_of_file(&given.setting, settings) {
            Some(name) => arguments.push(format!("--{name}={}", read(given)?.expose_secret())),
            None => arguments.extend(given.arguments()),
        }
    }
    arguments.extend(instead.iter().map(|(name, value)| format!("--{name}={value}")));
    Ok(SecretString::from(serde_json::to_string(&arguments)?))
}

/// The arguments that were handed over.
pub(crate) fn take_over(text: &SecretString) -> anyhow::Result<Serve> {
    let arguments: Vec<String> =
        serde_json::from_str(text.expose_secret()).context("what the launcher hands over")?;
    let name = serve_command().get_name().to_owned();
    let matches = serve_command()
        .try_get_matches_from([name].into_iter().chain(arguments))
        .map_err(|error| anyhow::anyhow!(first_line(&error)))?;
    Ok(Serve::from_arg_matches(&matches)?)
}

/// A refusal of clap's without its advice on usage.
pub(super) fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The secret that a setting names a file of.
fn secret_of_file<'a>(setting: &Setting, settings: &'a [Setting]) -> Option<&'a str> {
    let of = setting.name.strip_suffix(FILE)?;
    settings.iter().find(|setting| setting.secret && setting.name == of).map(|setting| setting.name.as_str())
}

fn read(given: &Given) -> anyhow::Result<SecretString> {
    let path = given.values.first().context("a file's name")?;
    let text = fs::read_to_string(path)
        .with_context(|| format!("reading {path}, which {} names ({})", given.setting.name, given.source))?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}
