//! The list of settings: what clap knows of `zipship serve`.

use std::convert::Infallible;

use clap::{Arg, ArgAction, builder::ValueParser};
use secrecy::SecretString;

use super::serve_command;

/// Before the name of every variable.
const PREFIX: &str = "ZIPSHIP_";

/// Variables by which other programs say the same; ours are stronger.
const USUAL: &[(&str, &str)] = &[
    ("s3-region", "AWS_REGION"),
    ("s3-access-key-id", "AWS_ACCESS_KEY_ID"),
    ("s3-secret-access-key", "AWS_SECRET_ACCESS_KEY"),
];

/// One setting of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// clap's name of the argument.
    pub(crate) id: String,
    /// `--<name>` as a flag, `<name>` in a file.
    pub(crate) name: String,
    /// Its variable in the environment.
    pub(crate) variable: String,
    /// The variable by which other programs say the same.
    pub(crate) usual: Option<&'static str>,
    /// What a value looks like.
    pub(crate) shape: Shape,
    /// Never printed.
    pub(crate) secret: bool,
    /// What holds when nothing is said; none where nothing is then the case.
    pub(crate) default: Vec<String>,
    /// What a value stands for, as in `--help`.
    pub(crate) value_name: String,
    /// What it is for: one paragraph.
    pub(crate) about: String,
}

/// How a setting is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// On or off; a flag without a value.
    Switch,
    /// One value.
    One,
    /// Several: a repeatable flag, a list in a file, commas in a variable.
    Many,
}

/// All settings of a server, in the order of `zipship serve --help`.
pub(crate) fn of_server() -> Vec<Setting> {
    serve_command().get_arguments().filter_map(Setting::of).collect()
}

impl Setting {
    fn of(argument: &Arg) -> Option<Self> {
        let name = argument.get_long()?.to_owned();
        let shape = match argument.get_action() {
            ArgAction::SetTrue => Shape::Switch,
            ArgAction::Set => Shape::One,
            ArgAction::Append => Shape::Many,
            _ => return None,
        };
        let default = match shape {
            Shape::Switch => vec!["false".to_owned()],
            _ => argument
                .get_default_values()
                .iter()
                .map(|value| value.to_string_lossy().into_owned())
                .collect(),
        };
        let value_names = argument.get_value_names().unwrap_or_default();
        Some(Self {
            id: argument.get_id().as_str().to_owned(),
            variable: format!("{PREFIX}{}", name.replace('-', "_").to_uppercase()),
            usual: USUAL.iter().find(|(setting, _)| *setting == name).map(|(_, variable)| *variable),
            shape,
            secret: argument.get_value_parser().type_id() == secret_parser().type_id(),
            default,
            value_name: value_names.first().map_or_else(String::new, ToString::to_string),
            about: argument
                .get_long_help()
                .or(argument.get_help())
                .map_or_else(String::new, ToString::to_string),
            name,
        })
    }
}

/// A value that is read later, since clap's own errors show it, and that nobody can print.
pub(crate) fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

fn secret_parser() -> ValueParser {
    ValueParser::new(secret)
}
