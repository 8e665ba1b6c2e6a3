//! The file: TOML, one key a setting, without tables.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::settings::{Setting, Shape};

/// Read when it exists and no other file is named.
pub(super) const DEFAULT_FILE: &str = "/etc/zipship/config.toml";
/// Names further away than this are not meant.
const TYPING_ERRORS: usize = 3;

/// What one line of the file sets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Counted from 1.
    pub(super) line: usize,
    /// A setting's name.
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

/// Why a configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It can't be read at all.
    #[error("the configuration file {} can't be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// It is not TOML.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, message: String },
    /// A key that is no setting.
    #[error("{}, line {line}: there is no setting {name:?}{}; `zipship config --defaults` lists all", path.display(), nearest(near.as_deref()))]
    Unknown { path: PathBuf, line: usize, name: String, near: Option<String> },
    /// A value of another kind than the setting's.
    #[error("{}, line {line}: {name} is to be {wanted}, not {found}", path.display())]
    Kind { path: PathBuf, line: usize, name: String, wanted: &'static str, found: &'static str },
}

fn nearest(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(", perhaps {name:?} is meant"))
}

/// Reads the file for settings among `settings`; names of `known` that are none of them are left out.
pub(super) fn read(path: &Path, settings: &[Setting], known: &[Setting]) -> Result<Vec<Entry>, FileError> {
    let text =
        fs::read_to_string(path).map_err(|error| FileError::Unreadable { path: path.to_owned(), error })?;
    let mut entries = parse(path, &text, known)?;
    entries.retain(|entry| settings.iter().any(|setting| setting.name == entry.name));
    warn_of_readers(path, &entries, settings);
    Ok(entries)
}

/// The file's text as entries, in the order of its lines.
pub(super) fn parse(path: &Path, text: &str, known: &[Setting]) -> Result<Vec<Entry>, FileError> {
    let line_at = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| FileError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_at(span.start)),
        // Not the whole error: that shows the line, which may hold a secret.
        message: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.into_inner() {
        let (line, name) = (line_at(key.span().start), key.get_ref().to_string());
        let Some(setting) = known.iter().find(|setting| setting.name == name) else {
            let near = near(&name, known);
            return Err(FileError::Unknown { path: path.to_owned(), line, name, near });
        };
        let values = values(value.get_ref(), setting.shape).map_err(|(wanted, found)| FileError::Kind {
            path: path.to_owned(),
            line,
            name: name.clone(),
            wanted,
            found,
        })?;
        entries.push(Entry { line, name, values });
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// The name that a wrong one is nearest to.
fn near(name: &str, known: &[Setting]) -> Option<String> {
    let name = name.replace('_', "-").to_lowercase();
    let distances = known.iter().map(|setting| (strsim::damerau_levenshtein(&name, &setting.name), setting));
    let nearest = distances.min_by_key(|(distance, _)| *distance)?;
    (nearest.0 <= TYPING_ERRORS).then(|| nearest.1.name.clone())
}

/// The value as the flag would have it; else what was wanted and what was found.
fn values(value: &DeValue<'_>, shape: Shape) -> Result<Vec<String>, (&'static str, &'static str)> {
    let wanted = match shape {
        Shape::Switch => "true or false",
        Shape::One => "a text, a number, or true or false",
        Shape::Many => "a text or a list of texts",
    };
    match (value, shape) {
        (DeValue::Boolean(on), _) => Ok(vec![on.to_string()]),
        (DeValue::Array(list), Shape::Many) => {
            let texts =
                list.iter().map(|value| scalar(value.get_ref()).ok_or((wanted, kind(value.get_ref()))));
            texts.collect()
        }
        (value, Shape::One | Shape::Many) => {
            scalar(value).map(|text| vec![text]).ok_or((wanted, kind(value)))
        }
        (value, Shape::Switch) => Err((wanted, kind(value))),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A file with a secret that everybody may read is told; it is used nevertheless.
fn warn_of_readers(path: &Path, entries: &[Entry], settings: &[Setting]) {
    let secret = entries
        .iter()
        .find(|entry| settings.iter().any(|setting| setting.secret && setting.name == entry.name));
    let Some(secret) = secret else { return };
    if fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0) {
        let path = path.display();
        eprintln!("warning: {path} holds {} and everybody may read it; try: chmod o-r {path}", secret.name);
    }
}
