//! The interpreters and the Go toolchain of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use contract::runtime::Language;

use super::runtime::Runtime;
use super::usage;

/// What runs a handler, or compiles it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Interpreter {
    /// The program itself, where what is on the PATH is a script that looks for it; for Go the toolchain's root.
    pub(crate) path: PathBuf,
    /// `20.20.2`.
    pub(crate) version: String,
    /// Go's build cache: the user's own, which is warm.
    pub(crate) cache: Option<PathBuf>,
}

/// Finds the interpreter of a runtime, or asks the one that is named. The second value is a warning: another
/// version than the runtime's.
pub(crate) fn find(runtime: &Runtime, named: Option<&Path>) -> anyhow::Result<(Interpreter, Option<String>)> {
    let names = match named {
        Some(named) => vec![named.to_owned()],
        None => candidates(runtime),
    };
    let mut other = None;
    for name in &names {
        let Some(found) = ask(runtime.language, name) else { continue };
        if is_wanted(runtime, &found) {
            return Ok((found, None));
        }
        other.get_or_insert(found);
    }
    let Some(found) = other else { return nothing(runtime, named, &names) };
    let warning = format!(
        "the runtime is {}, but {} is version {}; name another one with --interpreter",
        runtime.name,
        found.path.display(),
        found.version
    );
    Ok((found, Some(warning)))
}

fn nothing<T>(runtime: &Runtime, named: Option<&Path>, names: &[PathBuf]) -> anyhow::Result<T> {
    let language = runtime.language;
    if let Some(named) = named {
        return usage(format!("--interpreter: {} does not run as {language}", named.display()));
    }
    let names: Vec<_> = names.iter().map(|name| name.display().to_string()).collect();
    usage(format!(
        "no {language} on this machine ({} on the PATH); install it, or name it with --interpreter",
        names.join(" or ")
    ))
}

fn candidates(runtime: &Runtime) -> Vec<PathBuf> {
    let version = runtime.version.as_deref();
    match runtime.language {
        Language::Node => ["node", "nodejs"].map(PathBuf::from).into(),
        Language::Python => {
            let exact = version.map(|version| PathBuf::from(format!("python{version}")));
            // An unversioned `python3` first: it is the one of an active virtual environment.
            let mut names: Vec<_> = [PathBuf::from("python3")].into_iter().chain(exact).collect();
            names.push("python".into());
            names
        }
        Language::Golang => {
            let mut names = vec![PathBuf::from("go")];
            // Toolchains that zipship's set-up keeps.
            let kept = std::fs::read_dir(crate::programs::cache().join("go")).into_iter().flatten().flatten();
            let mut kept: Vec<_> = kept.map(|version| version.path().join("bin/go")).collect();
            kept.sort();
            names.extend(kept.into_iter().rev());
            names
        }
    }
}

fn is_wanted(runtime: &Runtime, found: &Interpreter) -> bool {
    let fits = |wanted: &str| {
        let rest = found.version.strip_prefix(wanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    runtime.version.as_deref().is_none_or(fits)
}

/// The interpreter's own answer: where it is, and which version. `None` when it does not run.
fn ask(language: Language, program: &Path) -> Option<Interpreter> {
    let arguments: &[&str] = match language {
        Language::Node => &["-p", "process.execPath + '\\n' + process.versions.node"],
        Language::Python => &[
            "-c",
            "import sys; print(sys.executable); print('.'.join(str(part) for part in sys.version_info[:3]))",
        ],
        Language::Golang => &["env", "GOROOT", "GOVERSION", "GOCACHE"],
    };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines().map(str::trim);
    let path = PathBuf::from(lines.next()?);
    let version = lines.next()?.trim_start_matches("go").to_owned();
    let cache = lines.next().map(PathBuf::from).filter(|cache| cache.is_absolute());
    Some(Interpreter { path, version, cache }).filter(|found| found.path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_of_this_machine_say_where_they_are() {
        for name in ["node", "python3", "golang"] {
            let (found, warning) = find(&Runtime::parse(name).unwrap(), None).unwrap();
            assert!(found.path.exists() && found.version.contains('.'), "{found:?}");
            assert_eq!(warning, None);
        }
    }

    #[test]
    fn another_version_is_told_and_used() {
        let (found, warning) = find(&Runtime::parse("node3").unwrap(), None).unwrap();
        let warning = warning.unwrap();
        assert!(warning.contains("node3") && warning.contains(&found.version), "{warning}");
        let nobody = find(&Runtime::parse("node").unwrap(), Some(Path::new("/nowhere/node"))).unwrap_err();
        assert!(nobody.to_string().contains("/nowhere/node"), "{nobody}");
    }
}
