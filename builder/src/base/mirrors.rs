//! Where archives are downloaded from: what this machine's apt, npm and pip are configured with, or what a person names.
//!
//! Nothing of a mirror is believed (the lock has the hashes), so any mirror will do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Apt's own configuration.
const APT: &str = "/etc/apt";

/// Code names and classes of Debian's suites; a source of another suite is no mirror of Debian.
const SUITES: [&str; 14] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
    "rc-buggy",
];

/// Base addresses of mirrors, without a slash at the end. Found out when first needed: asking npm takes a while.
#[derive(Debug, Default)]
pub struct Mirrors {
    debian: OnceLock<Vec<String>>,
    npm: OnceLock<Vec<String>>,
    python: OnceLock<Vec<String>>,
}

impl Mirrors {
    /// Those that this machine is configured with.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::default()
    }

    /// With these of Debian instead; an empty list changes nothing.
    #[must_use]
    pub fn with_debian(self, mirrors: Vec<String>) -> Self {
        if mirrors.is_empty() { self } else { Self { debian: trimmed(mirrors).into(), ..self } }
    }

    /// With these registries of npm instead; an empty list changes nothing.
    #[must_use]
    pub fn with_npm(self, mirrors: Vec<String>) -> Self {
        if mirrors.is_empty() { self } else { Self { npm: trimmed(mirrors).into(), ..self } }
    }

    /// With these Python package indexes instead; an empty list changes nothing.
    #[must_use]
    pub fn with_python(self, mirrors: Vec<String>) -> Self {
        if mirrors.is_empty() { self } else { Self { python: trimmed(mirrors).into(), ..self } }
    }

    /// Mirrors of Debian, archives and security archives alike.
    pub(crate) fn debian(&self) -> &[String] {
        self.debian.get_or_init(|| trimmed(debian_sources(Path::new(APT))))
    }

    /// Registries of npm.
    pub(crate) fn npm(&self) -> &[String] {
        self.npm.get_or_init(|| trimmed(npm_registry().into_iter().collect()))
    }

    /// Indexes of Python packages.
    pub(crate) fn python(&self) -> &[String] {
        self.python.get_or_init(|| trimmed(python_index().into_iter().collect()))
    }
}

/// A mirror's address without the password that may be in it.
pub(crate) fn masked(mirror: &str) -> String {
    match mirror.split_once("://") {
        Some((scheme, rest)) => match rest.split('/').next().and_then(|host| host.rfind('@')) {
            Some(at) => format!("{scheme}://***{}", &rest[at..]),
            None => mirror.to_owned(),
        },
        None => mirror.to_owned(),
    }
}

fn trimmed(mirrors: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for mirror in mirrors {
        let mirror = mirror.trim_end_matches('/');
        if !kept.iter().any(|k| k == mirror) {
            kept.push(mirror.to_owned());
        }
    }
    kept
}

/// Addresses in all of apt's source files.
fn debian_sources(apt: &Path) -> Vec<String> {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(apt.join("sources.list.d")) {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut mirrors = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => mirrors.extend(text.lines().flat_map(of_line)),
            Some("sources") => mirrors.extend(stanzas(&text).iter().flat_map(|fields| of_stanza(fields))),
            _ => {}
        }
    }
    mirrors
}

/// `deb [options] address suite component...`
fn of_line(line: &str) -> Option<String> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let (address, suite) = (words.next()?, words.next()?);
    (is_usable(address) && is_debians(suite)).then(|| address.to_owned())
}

/// The addresses of a stanza of a `.sources` file.
fn of_stanza(fields: &[(String, String)]) -> Vec<String> {
    let field = |name: &str| fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v);
    let enabled = !matches!(field("Enabled").to_ascii_lowercase().as_str(), "no" | "false" | "0");
    let binary = field("Types").split_whitespace().any(|kind| kind == "deb");
    if !enabled || !binary || !field("Suites").split_whitespace().any(is_debians) {
        return Vec::new();
    }
    field("URIs").split_whitespace().filter(|uri| is_usable(uri)).map(str::to_owned).collect()
}

fn is_usable(address: &str) -> bool {
    address.starts_with("http://") || address.starts_with("https://")
}

fn is_debians(suite: &str) -> bool {
    let name = suite.split(['-', '/']).next().unwrap_or_default();
    SUITES.contains(&name) || SUITES.contains(&suite)
}

/// The stanzas of a control file (deb822): fields in order, continuation lines joined by spaces.
pub(crate) fn stanzas(text: &str) -> Vec<Vec<(String, String)>> {
    let mut stanzas = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let stanza: &mut Vec<(String, String)> = match stanzas.last_mut() {
            Some(stanza) => stanza,
            None => break,
        };
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    stanzas.retain(|stanza| !stanza.is_empty());
    stanzas
}

/// npm's registry: what npm says, or without npm what its variable or file says.
fn npm_registry() -> Option<String> {
    let npm = Command::new("npm").args(["config", "get", "registry"]).stderr(Stdio::null()).output();
    let said = npm.ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok());
    let variable =
        || ["npm_config_registry", "NPM_CONFIG_REGISTRY"].iter().find_map(|n| std::env::var(n).ok());
    let file = || of_npmrc(&fs::read_to_string(Path::new(&std::env::var_os("HOME")?).join(".npmrc")).ok()?);
    said.or_else(variable).or_else(file).map(|s| s.trim().to_owned()).filter(|s| is_usable(s))
}

/// `registry = address` of an `.npmrc`.
fn of_npmrc(text: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "registry").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// pip's index: what its variable or configuration says, else what pip says is its default.
fn python_index() -> Option<String> {
    let pip = |arguments: &[&str]| {
        let output =
            Command::new("python3").args(["-m", "pip"]).args(arguments).stderr(Stdio::null()).output();
        output.ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok())
    };
    let variable = || std::env::var("PIP_INDEX_URL").ok();
    let file = || pip(&["config", "get", "global.index-url"]);
    let default = || of_pip_help(&pip(&["download", "--help"])?);
    [&variable as &dyn Fn() -> Option<String>, &file, &default]
        .into_iter()
        .find_map(|said| said().map(|s| s.trim().to_owned()).filter(|s| is_usable(s)))
}

/// `(default https://...)`, which may be broken into lines, in pip's description of `--index-url`.
fn of_pip_help(help: &str) -> Option<String> {
    let words = help.split("--index-url").nth(1)?.split_whitespace().skip_while(|word| *word != "(default");
    words.skip(1).map(|word| word.trim_end_matches([')', '.'])).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_sources() {
        for (line, mirror) in [
            ("deb http://mirror.test/debian bookworm main contrib", Some("http://mirror.test/debian")),
            (
                "deb [signed-by=/k.gpg arch=amd64] https://mirror.test/d/ bookworm-updates main # x",
                Some("https://mirror.test/d/"),
            ),
            ("deb\thttp://mirror.test/s bookworm-security main", Some("http://mirror.test/s")),
            ("deb http://mirror.test/s bullseye/updates main", Some("http://mirror.test/s")),
            ("deb-src http://mirror.test/debian bookworm main", None),
            ("# deb http://mirror.test/debian bookworm main", None),
            ("deb cdrom:[Debian]/ bookworm main", None),
            ("deb http://vendor.test/apt vendor-bookworm main", None),
            ("deb http://ubuntu.test/ubuntu noble main", None),
            ("deb", None),
        ] {
            assert_eq!(of_line(line).as_deref(), mirror, "{line}");
        }
    }

    #[test]
    fn deb822_sources() {
        let text = "Types: deb deb-src\n# a comment\nURIs: http://a.test/debian\n http://b.test/debian\nSuites: bookworm\n\
                    Components: main\n\nTypes: deb\nURIs: http://c.test/x\nSuites: nodistro\n\nEnabled: no\nTypes: deb\n\
                    URIs: http://d.test/debian\nSuites: bookworm\n\nTypes: deb-src\nURIs: http://e.test/debian\nSuites: sid\n";
        let found: Vec<String> = stanzas(text).iter().flat_map(|s| of_stanza(s)).collect();
        assert_eq!(found, ["http://a.test/debian", "http://b.test/debian"]);
    }

    #[test]
    fn all_of_apts_files_are_read() {
        let apt = tempfile::tempdir().unwrap();
        fs::create_dir(apt.path().join("sources.list.d")).unwrap();
        fs::write(apt.path().join("sources.list"), "deb http://a.test/debian/ stable main\n").unwrap();
        fs::write(
            apt.path().join("sources.list.d/x.sources"),
            "Types: deb\nURIs: http://b.test/debian http://a.test/debian\nSuites: bookworm\n",
        )
        .unwrap();
        fs::write(apt.path().join("sources.list.d/old.save"), "deb http://c.test/debian stable main\n")
            .unwrap();
        assert_eq!(trimmed(debian_sources(apt.path())), ["http://a.test/debian", "http://b.test/debian"]);
    }

    #[test]
    fn named_mirrors_win_and_an_empty_list_changes_nothing() {
        let mirrors = Mirrors::of_this_machine()
            .with_debian(vec!["http://a.test/".into()])
            .with_debian(vec![])
            .with_npm(vec!["http://n.test".into()]);
        assert_eq!(
            (mirrors.debian(), mirrors.npm()),
            (&["http://a.test".into()][..], &["http://n.test".into()][..])
        );
    }

    #[test]
    fn npmrc_and_masking() {
        assert_eq!(of_npmrc("a=b\nregistry = https://n.test/ \n").as_deref(), Some("https://n.test/"));
        assert_eq!(of_npmrc("@x:registry=https://n.test/"), None);
        let help = "  -i, --index-url <url>   Base URL of the Index (default\n      https://i.test/simple). This\n  --x";
        assert_eq!(of_pip_help(help).as_deref(), Some("https://i.test/simple"));
        assert_eq!(of_pip_help("no such option"), None);
        assert_eq!(masked("http://u:p@ss@m.test/debian"), "http://***@m.test/debian");
        assert_eq!(masked("http://m.test/@scope"), "http://m.test/@scope");
    }
}
