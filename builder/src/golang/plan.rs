//! From an archive and a package path to one call of the compiler.

use std::collections::{BTreeMap, BTreeSet};

use super::package::clause;
use super::{CACHE, CompileJob, OUTPUT, SOURCES, SourceFile, TEMPORARY, TOOLCHAIN};
use crate::tree::Tree;
use crate::zip::{Inflater, Refusal};

/// Directory of the code in a made-up GOPATH, for archives without go.mod.
const GOPATH_PACKAGE: &str = "src/handler";

/// Why an archive cannot be handed to the compiler. `Display` is a user's sentence.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The handler's directory has no Go files, or is not there.
    #[error("handler package {package:?}: no Go files there in the archive; {}", listed(mains))]
    NoPackage {
        /// The directory looked for.
        package: String,
        /// Directories that are `package main`.
        mains: Vec<String>,
    },
    /// The handler's directory is another package.
    #[error("handler package {package:?} is package {found}, not package main; {}", listed(mains))]
    NotMain {
        /// The directory.
        package: String,
        /// Name of its package.
        found: String,
        /// Directories that are `package main`.
        mains: Vec<String>,
    },
    /// go.mod asks for modules and there is no vendor directory.
    #[error(
        "{gomod} requires {module} and the archive has no vendor directory beside it; \
         run \"go mod vendor\" and add vendor/ to the archive"
    )]
    NotVendored {
        /// Path of go.mod.
        gomod: String,
        /// The first module that is required.
        module: String,
    },
    /// A source file does not decode.
    #[error(transparent)]
    Archive(#[from] Refusal),
}

fn listed(mains: &[String]) -> String {
    match mains {
        [] => "no directory of the archive is package main".to_owned(),
        mains => format!("package main is in: {}", mains.join(", ")),
    }
}

/// Decides what the compiler is asked for the package in directory `package` (`.` is the archive's root).
///
/// # Errors
/// [`PlanError`]
pub fn plan(tree: &Tree<'_>, package: &str) -> Result<CompileJob, PlanError> {
    let files = sources(tree)?;
    require_main(&files, package)?;
    let root = module_root(&files, package);
    let within =
        |prefix: &str, path: &str| if path == "." { prefix.to_owned() } else { format!("{prefix}/{path}") };
    let mut environment = environment();
    let mut argv: Vec<String> = [
        &format!("{TOOLCHAIN}/bin/go"),
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags=-s -w -buildid=",
        "-o",
        OUTPUT,
    ]
    .map(str::to_owned)
    .into();
    let (files, workdir, target) = match root {
        Some(root) => {
            if has_vendor(&files, &root) {
                argv.insert(2, "-mod=vendor".to_owned());
            } else {
                require_no_modules(&files, &root)?;
            }
            environment.insert("GO111MODULE".into(), "on".into());
            environment.insert("GOPATH".into(), format!("{TEMPORARY}/go"));
            let target = below(package, &root);
            (files, within(SOURCES, &root), target)
        }
        None => {
            environment.insert("GO111MODULE".into(), "off".into());
            environment.insert("GOPATH".into(), SOURCES.into());
            let moved =
                |file: SourceFile| SourceFile { path: format!("{GOPATH_PACKAGE}/{}", file.path), ..file };
            (files.into_iter().map(moved).collect(), within(SOURCES, GOPATH_PACKAGE), package.to_owned())
        }
    };
    argv.push(if target == "." { target } else { format!("./{target}") });
    Ok(CompileJob { files, workdir, argv, environment, output: OUTPUT.to_owned() })
}

/// All files, decoded; links to files become copies, so that nothing can point anywhere.
fn sources(tree: &Tree<'_>) -> Result<Vec<SourceFile>, Refusal> {
    let mut inflater = Inflater::new();
    let mut files = Vec::new();
    for (path, _) in tree.iter() {
        if let Some((executable, data)) = tree.file(path) {
            files.push(SourceFile {
                path: path.to_owned(),
                executable,
                bytes: data.read(path, &mut inflater)?,
            });
        }
    }
    Ok(files)
}

fn environment() -> BTreeMap<String, String> {
    [
        ("CGO_ENABLED", "0"),
        ("GOOS", "linux"),
        ("GOARCH", "amd64"),
        ("GOAMD64", "v1"),
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
        ("GOSUMDB", "off"),
        ("GOENV", "off"),
        ("GOWORK", "off"),
        ("GOFLAGS", ""),
        ("GOTELEMETRY", "off"),
        ("GOCACHE", CACHE),
        ("HOME", TEMPORARY),
        ("TMPDIR", TEMPORARY),
        ("PATH", "/usr/local/go/bin:/usr/bin:/bin"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Directory of a path, `.` for the root.
fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(directory, _)| directory)
}

/// A path relative to a directory that it lies in.
fn below(path: &str, root: &str) -> String {
    match path.strip_prefix(root) {
        Some("") => ".".to_owned(),
        Some(rest) if rest.starts_with('/') => rest[1..].to_owned(),
        _ => path.to_owned(),
    }
}

fn require_main(files: &[SourceFile], package: &str) -> Result<(), PlanError> {
    let names = |directory_: &str| -> Vec<&str> {
        go_files(files).filter(|f| directory(&f.path) == directory_).filter_map(package_of).collect()
    };
    let found = names(package);
    if found.contains(&"main") {
        return Ok(());
    }
    let mains: BTreeSet<String> = go_files(files)
        .filter(|file| package_of(file) == Some("main") && !file.path.split('/').any(|c| c == "vendor"))
        .map(|file| directory(&file.path).to_owned())
        .collect();
    let (package, mains) = (package.to_owned(), mains.into_iter().take(10).collect());
    match found.first() {
        Some(name) => Err(PlanError::NotMain { package, found: (*name).to_owned(), mains }),
        None => Err(PlanError::NoPackage { package, mains }),
    }
}

fn go_files(files: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    files.iter().filter(|file| file.path.ends_with(".go") && !file.path.ends_with("_test.go"))
}

fn package_of(file: &SourceFile) -> Option<&str> {
    clause(str::from_utf8(&file.bytes).ok()?)
}

/// The nearest directory at or above the package that has a go.mod.
fn module_root(files: &[SourceFile], package: &str) -> Option<String> {
    let mut at = package;
    loop {
        if file(files, at, "go.mod").is_some() {
            return Some(at.to_owned());
        }
        if at == "." {
            return None;
        }
        at = directory(at);
    }
}

fn file<'f>(files: &'f [SourceFile], directory: &str, name: &str) -> Option<&'f SourceFile> {
    let path = if directory == "." { name.to_owned() } else { format!("{directory}/{name}") };
    files.iter().find(|file| file.path == path)
}

fn has_vendor(files: &[SourceFile], root: &str) -> bool {
    let prefix = if root == "." { "vendor/".to_owned() } else { format!("{root}/vendor/") };
    files.iter().any(|file| file.path.starts_with(&prefix))
}

/// Without a vendor directory only the standard library and modules of the archive itself are at hand.
fn require_no_modules(files: &[SourceFile], root: &str) -> Result<(), PlanError> {
    let Some(gomod) = file(files, root, "go.mod") else { return Ok(()) };
    let text = String::from_utf8_lossy(&gomod.bytes);
    let local: BTreeSet<&str> = directives(&text, "replace")
        .filter(|words| words.iter().skip_while(|w| **w != "=>").nth(1).is_some_and(|to| to.starts_with('.')))
        .filter_map(|words| words.first().copied())
        .collect();
    let missing =
        directives(&text, "require").filter_map(|w| w.first().copied()).find(|m| !local.contains(m));
    match missing {
        Some(module) => Err(PlanError::NotVendored { gomod: gomod.path.clone(), module: module.to_owned() }),
        None => Ok(()),
    }
}

/// The words of every line of a go.mod directive, in its one-line and its block form.
fn directives<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = Vec<&'t str>> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split("//").next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            [first, "("] if *first == name => inside = true,
            [")", ..] => inside = false,
            [first, rest @ ..] if *first == name && !rest.is_empty() => return Some(rest.to_vec()),
            [_, ..] if inside => return Some(words),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::{Data, Kind};

    fn check(package: &str, files: &[(&str, &str)]) -> Result<CompileJob, String> {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, Kind::File { executable: false, data: Data::plain(text.as_bytes()) });
        }
        plan(&tree, package).map_err(|error| error.to_string())
    }

    #[test]
    fn a_module_is_built_where_its_go_mod_is() {
        let files = [("svc/go.mod", "module x\n"), ("svc/cmd/hello/main.go", "package main")];
        let job = check("svc/cmd/hello", &files).unwrap();
        assert_eq!(job.workdir, "/src/svc");
        assert_eq!(job.argv.last().unwrap(), "./cmd/hello");
        assert_eq!(job.environment["GO111MODULE"], "on");
        assert!(!job.argv.contains(&"-mod=vendor".to_owned()));
        let vendored = [
            ("go.mod", "module x\nrequire a/b v1\n"),
            ("main.go", "package main"),
            ("vendor/modules.txt", ""),
        ];
        let job = check(".", &vendored).unwrap();
        assert_eq!(&job.argv[..3], ["/usr/local/go/bin/go", "build", "-mod=vendor"]);
        assert_eq!((job.workdir.as_str(), job.argv.last().unwrap().as_str()), ("/src", "."));
    }

    #[test]
    fn without_go_mod_there_is_a_gopath() {
        let job = check(
            "handlers/hello",
            &[("handlers/hello/main.go", "package main"), ("vendor/a/a.go", "package a")],
        )
        .unwrap();
        assert_eq!(job.workdir, "/src/src/handler");
        assert_eq!(job.argv.last().unwrap(), "./handlers/hello");
        assert_eq!(
            (job.environment["GO111MODULE"].as_str(), job.environment["GOPATH"].as_str()),
            ("off", "/src")
        );
        assert!(job.files.iter().any(|f| f.path == "src/handler/vendor/a/a.go"));
    }

    #[test]
    fn what_cannot_be_compiled_is_said_before_the_compiler_is_asked() {
        let main = ("cmd/a/main.go", "package main");
        assert_eq!(
            check(".", &[main, ("vendor/v/main.go", "package main")]).unwrap_err(),
            "handler package \".\": no Go files there in the archive; package main is in: cmd/a"
        );
        assert_eq!(
            check("lib", &[("lib/l.go", "// c\npackage lib"), ("lib/l_test.go", "package main")])
                .unwrap_err(),
            "handler package \"lib\" is package lib, not package main; no directory of the archive is package main"
        );
        let gomod =
            "module x\nreplace here => ./here\nrequire (\n\there v1 // c\n\tgithub.com/a/b v1.2.3\n)\n";
        assert!(
            check("cmd/a", &[main, ("go.mod", gomod)])
                .unwrap_err()
                .starts_with("go.mod requires github.com/a/b and")
        );
    }
}
