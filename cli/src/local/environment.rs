//! The variables of a function: from `serverless.yml`, from env files, from the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use contract::environment::is_reserved;

use super::usage;

/// Where variables come from; files are read anew at each start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// From `serverless.yml`; the weakest.
    pub(crate) declared: BTreeMap<String, String>,
    pub(crate) files: Vec<PathBuf>,
    /// From the command line: the strongest.
    pub(crate) given: BTreeMap<String, String>,
}

impl Sources {
    /// Reads everything. The names that the API refuses are refused here too.
    pub(crate) fn read(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut all = self.declared.clone();
        for file in &self.files {
            let text = match std::fs::read_to_string(file) {
                Ok(text) => text,
                Err(error) => return usage(format!("--env-file {}: {error}", file.display())),
            };
            match parse(&text) {
                Ok(pairs) => all.extend(pairs),
                Err(problem) => return usage(format!("{}: {problem}", file.display())),
            }
        }
        all.extend(self.given.clone());
        match all.keys().find(|name| is_reserved(name)) {
            Some(name) => usage(format!("the variable {name} is the platform's own and can't be set")),
            None => Ok(all),
        }
    }
}

/// `--env NAME=VALUE`; `--env NAME` takes the value of this process's own environment, where there is one.
pub(crate) fn given(arguments: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), std::env::var(argument).ok()),
        };
        if !is_name(name) {
            return usage(format!("--env {argument:?}: write NAME=VALUE"));
        }
        pairs.extend(value.map(|value| (name.to_owned(), value)));
    }
    Ok(pairs)
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// An env file: `NAME=VALUE` lines, `export ` before them, comments, values in single or double quotes (`\n`, `\"`
/// and `\\` in the latter). A value ends with its line.
fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) = line.split_once('=').ok_or(format!("line {number} is not NAME=VALUE"))?;
        let name = name.trim_end();
        if !is_name(name) {
            return Err(format!("line {number}: {name:?} is no name of a variable"));
        }
        let value = value_of(value.trim_start()).ok_or(format!("line {number}: a quote is not closed"))?;
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

fn value_of(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('\'') {
        return rest.split_once('\'').map(|(value, _)| value.to_owned());
    }
    if let Some(rest) = text.strip_prefix('"') {
        return double_quoted(rest);
    }
    let end = text.find(" #").unwrap_or(text.len());
    Some(text[..end].trim_end().to_owned())
}

fn double_quoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                other @ ('"' | '\\') => value.push(other),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_read_as_people_write_them() {
        let text = "# c\n\nA=1\nexport B = two words # c\nC='a # b'\nD=\"x\\ny\\\"\\\\\\t\"\nE=\nF=a=b#c\n";
        let expected =
            [("A", "1"), ("B", "two words"), ("C", "a # b"), ("D", "x\ny\"\\\\t"), ("E", ""), ("F", "a=b#c")];
        let expected: Vec<_> = expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        assert_eq!(parse(text), Ok(expected));
        for (bad, said) in [("A", "line 1"), ("\nB=\"x", "line 2"), ("1A=x", "\"1A\"")] {
            assert!(parse(bad).unwrap_err().contains(said), "{bad:?}");
        }
    }

    #[test]
    fn the_command_line_wins_and_reserved_names_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "A=file\nB=file\n").unwrap();
        let pairs = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let declared = pairs(&[("A", "yml"), ("B", "yml"), ("C", "yml")]);
        let sources = Sources { declared, files: vec![file], given: pairs(&[("A", "given")]) };
        assert_eq!(sources.read().unwrap(), pairs(&[("A", "given"), ("B", "file"), ("C", "yml")]));
        let reserved = Sources { given: pairs(&[("SCW_PUBLIC", "true")]), ..Sources::default() };
        assert!(reserved.read().unwrap_err().to_string().contains("SCW_PUBLIC"));
        let missing = Sources { files: vec!["/nowhere/.env".into()], ..Sources::default() };
        assert!(missing.read().unwrap_err().is::<super::super::Usage>());
    }

    #[test]
    fn a_name_alone_takes_the_value_that_is_there() {
        let path = std::env::var("PATH").unwrap();
        let pairs = given(&["PATH".into(), "NOT_SET_ANYWHERE".into(), "A=b=c".into()]).unwrap();
        assert_eq!(pairs.get("PATH"), Some(&path));
        assert_eq!((pairs.len(), pairs["A"].as_str()), (2, "b=c"));
        assert!(given(&["=x".into()]).is_err());
    }
}
