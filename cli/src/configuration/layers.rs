//! Flags over environment over file: what is set, and by what.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, parser::ValueSource};

use super::{
    file::{self, DEFAULT_FILE, FileError},
    hand_over::first_line,
    settings::{Setting, Shape, of_server},
};

/// A setting that has a value which is not its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) setting: Setting,
    pub(crate) values: Vec<String>,
    pub(crate) source: Source,
}

/// Who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Flag,
    /// The environment.
    Variable(String),
    /// A line of the file, counted from 1.
    File(PathBuf, usize),
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => out.write_str("flag"),
            Self::Variable(name) => out.write_str(name),
            Self::File(path, line) => write!(out, "{}, line {line}", path.display()),
        }
    }
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value that the setting can't have.
    #[error("{source_of_it}: {message}")]
    Value { source_of_it: Source, message: String },
}

impl Given {
    /// As arguments of the command line.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let name = &self.setting.name;
        match self.setting.shape {
            Shape::Switch if self.values.iter().any(|value| value == "true") => vec![format!("--{name}")],
            Shape::Switch => Vec::new(),
            Shape::One | Shape::Many => self.values.iter().map(|value| format!("--{name}={value}")).collect(),
        }
    }

    /// Refuses a value that `command` does not take, telling where it stands.
    fn check(&self, command: &Command) -> Result<(), LayerError> {
        let wrong = |message: String| LayerError::Value { source_of_it: self.source.clone(), message };
        let argv = [command.get_name().to_owned()].into_iter().chain(self.arguments());
        let Err(error) = command.clone().subcommand_required(false).try_get_matches_from(argv) else {
            return Ok(());
        };
        use clap::error::ErrorKind::{InvalidValue, ValueValidation};
        if !matches!(error.kind(), InvalidValue | ValueValidation) {
            return Ok(());
        }
        if self.setting.secret {
            return Err(wrong(format!("{} has no value that can be used", self.setting.name)));
        }
        Err(wrong(first_line(&error)))
    }
}

/// What is set of `settings`, in their order: by the flags in `matches` of `command`, else by `environment`, else by
/// the file. A setting that excludes one of a stronger source does not count.
pub(crate) fn resolve(
    command: &Command,
    matches: &ArgMatches,
    settings: &[Setting],
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<Given>, LayerError> {
    let mut given = flags(matches, settings);
    add(command, &mut given, variables(settings, &|setting| Some(&setting.variable), environment)?)?;
    add(command, &mut given, variables(settings, &|setting| setting.usual, environment)?)?;
    if let Some(path) = path_of_file(&given) {
        let entries = file::read(&path, settings, &of_server())?;
        let set = entries.into_iter().filter_map(|entry| {
            let setting = settings.iter().find(|setting| setting.name == entry.name)?.clone();
            Some(Given { setting, values: entry.values, source: Source::File(path.clone(), entry.line) })
        });
        add(command, &mut given, set.collect())?;
    }
    given.sort_by_key(|given| settings.iter().position(|setting| *setting == given.setting));
    Ok(given)
}

/// Adds a weaker layer, each value checked alone.
fn add(command: &Command, stronger: &mut Vec<Given>, weaker: Vec<Given>) -> Result<(), LayerError> {
    let mut added = Vec::new();
    for given in weaker {
        given.check(command)?;
        let said = |other: &Given| {
            other.setting == given.setting || excludes(command, &other.setting, &given.setting)
        };
        if !stronger.iter().any(said) {
            added.push(given);
        }
    }
    stronger.append(&mut added);
    Ok(())
}

fn excludes(command: &Command, one: &Setting, other: &Setting) -> bool {
    let argument =
        |setting: &Setting| command.get_arguments().find(|argument| argument.get_id() == setting.id.as_str());
    let (Some(one), Some(other)) = (argument(one), argument(other)) else { return false };
    let names = |from, to: &clap::Arg| {
        command.get_arg_conflicts_with(from).iter().any(|argument| argument.get_id() == to.get_id())
    };
    names(one, other) || names(other, one)
}

fn flags(matches: &ArgMatches, settings: &[Setting]) -> Vec<Given> {
    let by_flag = |setting: &&Setting| {
        matches.try_contains_id(&setting.id).is_ok()
            && matches.value_source(&setting.id) == Some(ValueSource::CommandLine)
    };
    let given = settings.iter().filter(by_flag).map(|setting| {
        let raw = matches.get_raw(&setting.id).into_iter().flatten();
        let values = match setting.shape {
            Shape::Switch => vec![matches.get_flag(&setting.id).to_string()],
            _ => raw.map(|value| value.to_string_lossy().into_owned()).collect(),
        };
        Given { setting: setting.clone(), values, source: Source::Flag }
    });
    given.collect()
}

/// An empty variable says nothing: that is how files of variables leave one out.
fn variables(
    settings: &[Setting],
    variable: &dyn for<'a> Fn(&'a Setting) -> Option<&'a str>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<Given>, LayerError> {
    let mut given = Vec::new();
    for setting in settings {
        let Some(name) = variable(setting) else { continue };
        let Some(value) = environment(name).filter(|value| !value.is_empty()) else { continue };
        let source = Source::Variable(name.to_owned());
        let wrong =
            |message: &str| LayerError::Value { source_of_it: source.clone(), message: message.to_owned() };
        let value = value.into_string().map_err(|_| wrong("this is not UTF-8"))?;
        let values = match setting.shape {
            Shape::One => vec![value],
            Shape::Many => value.split(',').map(|part| part.trim().to_owned()).collect(),
            Shape::Switch => match value.to_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => vec!["true".to_owned()],
                "false" | "0" | "no" | "off" => vec!["false".to_owned()],
                _ => return Err(wrong("this is to be true or false")),
            },
        };
        given.push(Given { setting: setting.clone(), values, source });
    }
    Ok(given)
}

/// The file that was named, else the one in its usual place if it is there.
fn path_of_file(given: &[Given]) -> Option<PathBuf> {
    let named =
        given.iter().find(|given| given.setting.name == "config").and_then(|given| given.values.first());
    let usual = Path::new(DEFAULT_FILE);
    named.map(PathBuf::from).or_else(|| usual.exists().then(|| usual.to_owned()))
}
