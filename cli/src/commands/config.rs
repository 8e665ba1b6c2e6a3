//! `zipship config`: the configuration that `zipship serve` would have, and where each value is from.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};

use crate::configuration::{self, Given, Setting, Shape};

const HEADING: [&str; 3] = ["NAME", "VALUE", "FROM"];
/// In the place of a secret.
const HIDDEN: &str = "***";
const EXIT_CODES: &str = "Exit codes: 0 done, 1 the configuration can't be used (the reason is on standard error), \
    2 wrong arguments.";

/// The configuration of `serve`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Config {
    /// A configuration file [default: /etc/zipship/config.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<OsString>,
    /// Print a file with every setting, what it is for, and its default.
    #[arg(long)]
    defaults: bool,
    /// Print JSON: name, value, from, flag, variable and default of each setting.
    #[arg(long)]
    json: bool,
    /// Print nothing but what is wrong.
    #[arg(long, conflicts_with_all = ["defaults", "json"])]
    check: bool,
    /// Flags as for `serve`, after `--`.
    #[arg(last = true, value_name = "FLAGS OF SERVE")]
    flags: Vec<OsString>,
}

/// Runs the sub-command.
pub(crate) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let settings = configuration::of_server();
    let given = if config.defaults { Vec::new() } else { effective(config, &settings)? };
    match config {
        Config { check: true, .. } => {}
        Config { json: true, .. } => println!("{:#}", as_json(&settings, &given)),
        Config { defaults: true, .. } => print!("{}", as_file(&settings)),
        _ => print!("{}", table(&settings, &given)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What is set, if a server could be started with it.
fn effective(config: &Config, settings: &[Setting]) -> anyhow::Result<Vec<Given>> {
    let command = configuration::serve_command();
    let mut argv = vec![OsString::from(command.get_name())];
    if let Some(file) = &config.config {
        argv.extend([OsString::from("--config"), file.clone()]);
    }
    argv.extend(config.flags.iter().cloned());
    let matches = command.clone().try_get_matches_from(argv)?;
    let given = configuration::resolve(&command, &matches, settings, &|name| std::env::var_os(name))?;
    let all = configuration::hand_over(&given, settings, &[])?;
    configuration::take_over(&all)?.check()?;
    Ok(given)
}

/// The value for people; secrets are not shown.
fn shown(setting: &Setting, given: Option<&Given>) -> String {
    match given {
        Some(_) if setting.secret => HIDDEN.to_owned(),
        Some(given) => given.values.join(", "),
        None => setting.default.join(", "),
    }
}

/// One line a setting.
fn table(settings: &[Setting], given: &[Given]) -> String {
    let row = |setting: &Setting| {
        let given = given.iter().find(|given| given.setting == *setting);
        [setting.name.clone(), shown(setting, given), from(given)]
    };
    let rows: Vec<[String; 3]> =
        [HEADING.map(str::to_owned)].into_iter().chain(settings.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, value) = (width(0), width(1));
    rows.iter().map(|[a, b, c]| format!("{a:<name$}  {b:<value$}  {c}\n")).collect()
}

fn from(given: Option<&Given>) -> String {
    given.map_or_else(|| "default".to_owned(), |given| given.source.to_string())
}

fn as_json(settings: &[Setting], given: &[Given]) -> Value {
    let value = |setting: &Setting, values: &[String]| match (setting.shape, values) {
        (Shape::Switch, values) => json!(values.iter().any(|value| value == "true")),
        (Shape::Many, values) => json!(values),
        (Shape::One, values) => json!(values.first()),
    };
    let object = |setting: &Setting| {
        let given = given.iter().find(|given| given.setting == *setting);
        let now = match given {
            Some(_) if setting.secret => json!(HIDDEN),
            Some(given) => value(setting, &given.values),
            None => value(setting, &setting.default),
        };
        json!({
            "name": setting.name,
            "value": now,
            "from": from(given),
            "flag": format!("--{}", setting.name),
            "variable": setting.variable,
            "default": value(setting, &setting.default),
        })
    };
    settings.iter().map(object).collect()
}

/// A file that changes nothing: every setting is in it, behind a `#`.
fn as_file(settings: &[Setting]) -> String {
    let mut text =
        String::from("# Every setting of zipship serve with its default. Take the # away to change one.\n");
    for setting in settings.iter().filter(|setting| setting.name != "config") {
        let about = setting.about.replace('\n', "\n# ");
        let mut value = toml_value(setting);
        if setting.default.is_empty() {
            value.push_str(" # not set");
        }
        text.push_str(&format!("\n# {about}\n# {} = {value}\n", setting.name));
    }
    text
}

/// The default as TOML, else a stand-in for a value.
fn toml_value(setting: &Setting) -> String {
    let quoted = |value: &String| match value.parse::<u64>() {
        Ok(number) => number.to_string(),
        Err(_) => toml::Value::String(value.clone()).to_string(),
    };
    let stand_in = [setting.value_name.clone()];
    let values = if setting.default.is_empty() { &stand_in[..] } else { &setting.default };
    match setting.shape {
        Shape::Switch => setting.default.concat(),
        Shape::One => values.first().map(quoted).unwrap_or_default(),
        Shape::Many => format!("[{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", ")),
    }
}
