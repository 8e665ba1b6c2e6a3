//! From an archive and a package path to one call of the compiler.

use std::collections::{BTreeMap, BTreeSet};

use super::package::clause;
use super::{CACHE, CompileJob, Download, MODULES, OUTPUT, SOURCES, SourceFile, TEMPORARY, TOOLCHAIN, gomod};
use crate::tree::Tree;
use crate::zip::{Inflater, Refusal};

/// Directory of the code in a made-up GOPATH, for archives without go.mod.
const GOPATH_PACKAGE: &str = "src/handler";
/// Directory of the code when modules lie beside it.
const BESIDE_MODULES: &str = "code";

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
    /// go.mod asks for modules, which are to be fetched, and nothing says what they must be.
    #[error(
        "{gomod} requires {module}, and there is neither a vendor directory nor a go.sum beside it; \
         run \"go mod tidy\" and add go.sum to the archive (or \"go mod vendor\" and add vendor/)"
    )]
    NoSums {
        /// Path of go.mod.
        gomod: String,
        /// The first module that is required.
        module: String,
    },
    /// go.mod replaces a module with a directory that is not in the archive.
    #[error("{gomod} replaces a module with {target}, which is outside of the archive")]
    ReplacedOutside {
        /// Path of go.mod.
        gomod: String,
        /// The path that leads out.
        target: String,
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
    match module_root(&files, package) {
        None => Ok(in_gopath(files, package)),
        Some(root) => in_module(files, &root, package),
    }
}

/// Without go.mod: the code is a package of a made-up GOPATH.
fn in_gopath(files: Vec<SourceFile>, package: &str) -> CompileJob {
    let own = [("GO111MODULE", "off"), ("GOPATH", SOURCES)];
    let workdir = within(SOURCES, GOPATH_PACKAGE);
    job(moved(files, GOPATH_PACKAGE), workdir, package, &[], &own)
}

fn in_module(files: Vec<SourceFile>, root: &str, package: &str) -> Result<CompileJob, PlanError> {
    require_own_replacements(&files)?;
    let package = below(package, root);
    if has_vendor(&files, root) {
        return Ok(job(files, within(SOURCES, root), &package, &["-mod=vendor"], &MODULE));
    }
    let Some((gomod, module)) = needed(&files, root) else {
        return Ok(job(files, within(SOURCES, root), &package, &[], &MODULE));
    };
    if file(&files, root, "go.sum").is_none() {
        return Err(PlanError::NoSums { gomod, module });
    }
    let download = Download {
        files: files.iter().filter(|file| describes_module(&file.path)).cloned().collect(),
        workdir: within(SOURCES, root),
        argv: vec![go(), "mod".to_owned(), "download".to_owned()],
        environment: environment(&FETCHING),
        gomod,
        module,
    };
    let proxy = format!("file://{MODULES}");
    let own = [&MODULE[..], &[("GOPROXY", &proxy), ("GOMODCACHE", MODULE_CACHE)]].concat();
    // Everything that go.sum does not vouch for is an error.
    let flags = ["-mod=readonly", "-modcacherw"];
    let workdir = within(&within(SOURCES, BESIDE_MODULES), root);
    let job = job(moved(files, BESIDE_MODULES), workdir, &package, &flags, &own);
    Ok(CompileJob { download: Some(download), ..job })
}

fn job(
    files: Vec<SourceFile>,
    workdir: String,
    package: &str,
    flags: &[&str],
    own: &[(&str, &str)],
) -> CompileJob {
    let mut argv = vec![go(), "build".to_owned()];
    argv.extend(flags.iter().chain(&FLAGS).map(|&flag| flag.to_owned()));
    argv.push(if package == "." { ".".to_owned() } else { format!("./{package}") });
    let environment = environment(own);
    CompileJob { files, workdir, argv, environment, output: OUTPUT.to_owned(), download: None }
}

fn go() -> String {
    format!("{TOOLCHAIN}/bin/go")
}

/// No linker but Go's own: objects in the archive (`.syso`) would have the machine's C compiler called.
const FLAGS: [&str; 5] =
    ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid= -linkmode=internal", "-o", OUTPUT];

/// Where the go tool unpacks modules: not kept.
const MODULE_CACHE: &str = "/tmp/modules";

/// Of a compilation with go.mod.
const MODULE: [(&str, &str); 2] = [("GO111MODULE", "on"), ("GOPATH", "/tmp/go")];

/// Of fetching. `GOPROXY` is added by whoever has a forwarder, without `direct`: nothing comes from where modules
/// are developed, no version control program is run, and no other toolchain is fetched. What the modules must be
/// says go.sum, not a database on the network.
const FETCHING: [(&str, &str); 4] = [
    ("GO111MODULE", "on"),
    ("GOPATH", "/tmp/go"),
    ("GOMODCACHE", MODULE_CACHE),
    // Directories that nobody may write are hard to remove.
    ("GOFLAGS", "-modcacherw"),
];

fn within(prefix: &str, path: &str) -> String {
    if path == "." { prefix.to_owned() } else { format!("{prefix}/{path}") }
}

fn moved(files: Vec<SourceFile>, directory: &str) -> Vec<SourceFile> {
    files.into_iter().map(|file| SourceFile { path: format!("{directory}/{}", file.path), ..file }).collect()
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

/// A clean environment: nothing of it is the caller's.
fn environment(own: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = [
        ("CGO_ENABLED", "0"),
        ("GOOS", "linux"),
        ("GOARCH", "amd64"),
        ("GOAMD64", "v1"),
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
        ("GOSUMDB", "off"),
        ("GOVCS", "*:off"),
        ("GOPRIVATE", ""),
        ("GONOPROXY", ""),
        ("GOINSECURE", ""),
        ("GOENV", "off"),
        ("GOWORK", "off"),
        ("GOFLAGS", ""),
        ("GOTELEMETRY", "off"),
        ("GOCACHE", CACHE),
        ("HOME", TEMPORARY),
        ("TMPDIR", TEMPORARY),
        ("PATH", "/usr/local/go/bin"),
    ];
    all.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
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

/// The go.mod of a directory and the first module that it needs from elsewhere.
fn needed(files: &[SourceFile], root: &str) -> Option<(String, String)> {
    let gomod = file(files, root, "go.mod")?;
    let text = String::from_utf8_lossy(&gomod.bytes);
    gomod::first_needed(&text).map(|module| (gomod.path.clone(), module.to_owned()))
}

/// In a sandbox there is nothing outside of the archive; without one there might be.
fn require_own_replacements(files: &[SourceFile]) -> Result<(), PlanError> {
    for file in files.iter().filter(|file| file.path.rsplit('/').next() == Some("go.mod")) {
        let text = String::from_utf8_lossy(&file.bytes);
        if let Some(target) = gomod::first_outside(&text, directory(&file.path)) {
            let (gomod, target) = (file.path.clone(), target.to_owned());
            return Err(PlanError::ReplacedOutside { gomod, target });
        }
    }
    Ok(())
}

/// What `go mod download` reads.
fn describes_module(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("go.mod" | "go.sum"))
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
        let gomod = "module x\nrequire github.com/a/b v1.2.3\n";
        let refused = check("cmd/a", &[main, ("go.mod", gomod)]).unwrap_err();
        assert!(refused.starts_with("go.mod requires github.com/a/b, and there is neither"), "{refused}");
        let gomod = "module x\nreplace a.b/c => ../../etc\n";
        assert_eq!(
            check("cmd/a", &[main, ("svc/go.mod", gomod), ("go.mod", "module y")]).unwrap_err(),
            "svc/go.mod replaces a module with ../../etc, which is outside of the archive"
        );
    }

    #[test]
    fn modules_that_are_not_vendored_are_fetched_first_by_a_tool_that_sees_no_source() {
        let files = [
            ("svc/go.mod", "module x\nrequire a.b/c v1.0.0\n"),
            ("svc/go.sum", ""),
            ("svc/main.go", "package main"),
        ];
        let job = check("svc", &files).unwrap();
        let download = job.download.unwrap();
        let seen: Vec<&str> = download.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(seen, ["svc/go.mod", "svc/go.sum"]);
        assert_eq!(download.argv, ["/usr/local/go/bin/go", "mod", "download"]);
        assert_eq!((download.workdir.as_str(), job.workdir.as_str()), ("/src/svc", "/src/code/svc"));
        assert_eq!(job.environment["GOPROXY"], "file:///src/modules");
        assert!(job.argv.contains(&"-mod=readonly".to_owned()));
        for (name, value) in
            [("GOVCS", "*:off"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOPRIVATE", "")]
        {
            assert_eq!(download.environment[name], value, "{name}");
        }
    }
}
