//! Credentials as Docker and Podman keep them: in files of the user, or in a helper program that a file names.
//!
//! Files, the first that knows the registry wins: `$REGISTRY_AUTH_FILE` alone when it is set; else
//! `$DOCKER_CONFIG/config.json` (`~/.docker/config.json`), `$XDG_RUNTIME_DIR/containers/auth.json`,
//! `$XDG_CONFIG_HOME/containers/auth.json` (`~/.config/containers/auth.json`).

mod file;
mod helper;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::credentials::Credentials;
use crate::reference::Reference;
use file::{Entry, File};

/// A file or a helper that could not be used. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    /// A credentials file cannot be read.
    #[error("the credentials file {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A credentials file is not what it should be.
    #[error("the credentials file {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, without its contents.
        reason: String,
    },
    /// A helper program failed.
    #[error("docker-credential-{name} gave no credentials for {registry}: {reason}")]
    Helper {
        /// The helper's name, without `docker-credential-`.
        name: String,
        /// What it was asked for.
        registry: String,
        /// Its own words, or why it could not be run.
        reason: String,
    },
}

/// The user's credentials files.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    files: Vec<PathBuf>,
}

impl Keychain {
    /// The files that an environment names. `variable` gets a variable's value.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(only) = path("REGISTRY_AUTH_FILE") {
            return Self { files: vec![only] };
        }
        let home = |below: &str| path("HOME").map(|home| home.join(below));
        let docker = path("DOCKER_CONFIG").or_else(|| home(".docker"));
        let config = path("XDG_CONFIG_HOME").or_else(|| home(".config"));
        let files = [
            docker.map(|directory| directory.join("config.json")),
            path("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json")),
            config.map(|directory| directory.join("containers/auth.json")),
        ];
        Self { files: files.into_iter().flatten().collect() }
    }

    /// The files of this process's environment.
    #[must_use]
    pub fn of_this_user() -> Self {
        Self::of(|name| std::env::var_os(name))
    }

    /// Who this user is to a reference's registry; nobody when no file knows it. Runs a helper program when a
    /// file names one, which may take as long as its user needs.
    ///
    /// # Errors
    /// [`KeychainError`]; a file that is not there is none.
    pub fn credentials(&self, reference: &Reference) -> Result<Credentials, KeychainError> {
        for path in &self.files {
            let Some(file) = read(path)? else { continue };
            if let Some(name) = file.helper(&reference.registry) {
                let asked = asked_as(&reference.registry);
                if let Some(found) = helper::ask(name, asked)? {
                    return Ok(found);
                }
            }
            if let Some(entry) = file.entry(&reference.registry, &reference.repository) {
                let damaged = |reason: &str| KeychainError::Damaged {
                    path: path.clone(),
                    reason: format!("the entry of {}: {reason}", reference.registry),
                };
                if let Some(found) = credentials(entry).map_err(damaged)? {
                    return Ok(found);
                }
            }
        }
        Ok(Credentials::Anonymous)
    }
}

/// Docker's own registry goes by an older name in files and helpers.
fn asked_as(registry: &str) -> &str {
    if is_docker_hub(registry) { file::DOCKER_HUB } else { registry }
}

fn is_docker_hub(registry: &str) -> bool {
    matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

fn read(path: &Path) -> Result<Option<File>, KeychainError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            // serde's text may quote what it read.
            let reason = format!("no JSON of the expected form at line {}", error.line());
            KeychainError::Damaged { path: path.to_owned(), reason }
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeychainError::Read { path: path.to_owned(), source }),
    }
}

/// `None`: the entry is empty, as Docker leaves it when a helper has the secret.
/// What a file's bytes say about a repository, for the fuzzers: no helper is asked.
pub(super) fn probe(bytes: &[u8], reference: &Reference) -> Option<Credentials> {
    let file: File = serde_json::from_slice(bytes).ok()?;
    if file.helper(&reference.registry).is_some() {
        return None;
    }
    file.entry(&reference.registry, &reference.repository).and_then(|entry| credentials(entry).ok()?)
}

fn credentials(entry: &Entry) -> Result<Option<Credentials>, &'static str> {
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(token) = set(&entry.registrytoken) {
        return Ok(Some(Credentials::Bearer { token }));
    }
    let pair = match set(&entry.auth) {
        Some(auth) => Some(file::decode(&auth)?),
        None => set(&entry.username).map(|user| (user, entry.password.clone().unwrap_or_default())),
    };
    if let Some(token) = set(&entry.identitytoken) {
        return Ok(Some(Credentials::Identity { token }));
    }
    Ok(pair.map(|(user, password)| Credentials::Basic { user, password }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keychain(directory: &Path, json: &str) -> Keychain {
        std::fs::write(directory.join("config.json"), json).unwrap();
        let directory = directory.to_owned();
        Keychain::of(move |name| (name == "DOCKER_CONFIG").then(|| directory.clone().into()))
    }

    fn found(json: &str, reference: &str) -> Result<Credentials, KeychainError> {
        let directory = tempfile::tempdir().unwrap();
        keychain(directory.path(), json).credentials(&Reference::parse(reference).unwrap())
    }

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic { user: user.into(), password: password.into() }
    }

    #[test]
    fn every_form_of_an_entry() {
        // "me:pass:word" in base64.
        let auth = r#"{"auths": {"r.example:5000": {"auth": "bWU6cGFzczp3b3Jk"}}}"#;
        assert_eq!(found(auth, "r.example:5000/a").unwrap(), basic("me", "pass:word"));
        assert_eq!(found(auth, "r.example/a").unwrap(), Credentials::Anonymous);
        let plain = r#"{"auths": {"https://r.example/v1/": {"username": "me", "password": "p"}}}"#;
        assert_eq!(found(plain, "r.example/a").unwrap(), basic("me", "p"));
        let identity = r#"{"auths": {"r.example": {"auth": "bWU6", "identitytoken": "t"}}}"#;
        assert_eq!(found(identity, "r.example/a").unwrap(), Credentials::Identity { token: "t".into() });
        let bearer = r#"{"auths": {"r.example": {"registrytoken": "t"}}}"#;
        assert_eq!(found(bearer, "r.example/a").unwrap(), Credentials::Bearer { token: "t".into() });
        let hub = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6cA=="}}}"#;
        assert_eq!(found(hub, "docker.io/library/a").unwrap(), basic("me", "p"));
        assert_eq!(found(r#"{"auths": {"r.example": {}}}"#, "r.example/a").unwrap(), Credentials::Anonymous);
    }

    #[test]
    fn the_longest_path_wins_as_podman_has_it() {
        let json = r#"{"auths": {
            "r.example": {"auth": "YToxCg=="},
            "r.example/team": {"username": "team", "password": "2"},
            "r.example/team/app": {"username": "app", "password": "3"}
        }}"#;
        assert_eq!(found(json, "r.example/team/app").unwrap(), basic("app", "3"));
        assert_eq!(found(json, "r.example/team/other").unwrap(), basic("team", "2"));
        assert_eq!(found(json, "r.example/teamwork").unwrap(), basic("a", "1\n"));
    }

    #[test]
    fn a_damaged_file_is_named_and_not_quoted() {
        for damaged in [
            "{",
            r#"{"auths": "secret"}"#,
            r#"{"auths": {"r.example": {"auth": "!secret!"}}}"#,
            r#"{"auths": {"r.example": {"auth": "c2VjcmV0"}}}"#,
        ] {
            let error = found(damaged, "r.example/a").unwrap_err().to_string();
            assert!(error.contains("config.json is damaged"), "{error}");
            assert!(!error.contains("secret") && !error.contains("c2Vj"), "{error}");
        }
    }

    #[test]
    fn files_in_their_order() {
        let all = Keychain::of(|name| match name {
            "HOME" => Some("/h".into()),
            "XDG_RUNTIME_DIR" => Some("/run".into()),
            _ => None,
        });
        let expected =
            ["/h/.docker/config.json", "/run/containers/auth.json", "/h/.config/containers/auth.json"];
        assert_eq!(all.files, expected.map(PathBuf::from));
        let one = Keychain::of(|name| (name == "REGISTRY_AUTH_FILE").then(|| "/x".into()));
        assert_eq!(one.files, [PathBuf::from("/x")]);
        assert!(Keychain::of(|_| None).files.is_empty());
    }

    /// One test for all that starts programs: another's fork would hold the script open for writing.
    #[test]
    fn helpers_are_asked_and_their_words_are_told() {
        a_registrys_own_helper_goes_before_the_store();
        a_program_that_answers_as_the_helpers_do();
    }

    fn a_program_that_answers_as_the_helpers_do() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\nread -r registry\ncase \"$1 $registry\" in\n\
            'get r.example') echo '{\"Username\": \"me\", \"Secret\": \"p\"}' ;;\n\
            'get t.example') echo '{\"Username\": \"<token>\", \"Secret\": \"t\"}' ;;\n\
            'get n.example') echo 'credentials not found in native keychain'; exit 1 ;;\n\
            *) echo 'the keychain is locked'; exit 1 ;;\nesac\n";
        let program = directory.path().join("docker-credential-test");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let name = program.display().to_string();
        // A helper is looked for on the PATH; a name with a path in it never comes from a file.
        let ask = |registry: &str| helper::run(&program, "test", registry);
        assert_eq!(ask("r.example").unwrap(), Some(basic("me", "p")));
        assert_eq!(ask("t.example").unwrap(), Some(Credentials::Identity { token: "t".into() }));
        assert_eq!(ask("n.example").unwrap(), None);
        let error = ask("x.example").unwrap_err().to_string();
        assert!(error.contains("x.example") && error.contains("the keychain is locked"), "{error}");
        let config = format!(r#"{{"credsStore": "{}"}}"#, name.replace("docker-credential-", ""));
        let error = found(&config, "r.example/a").unwrap_err().to_string();
        assert!(error.contains("no name of a helper"), "{error}");
    }

    fn a_registrys_own_helper_goes_before_the_store() {
        let json = r#"{"credsStore": "no-such-store", "credHelpers": {"r.example": "no-such-helper"}}"#;
        let error = found(json, "r.example/a").unwrap_err().to_string();
        assert!(error.contains("docker-credential-no-such-helper"), "{error}");
        let error = found(json, "other.example/a").unwrap_err().to_string();
        assert!(error.contains("docker-credential-no-such-store"), "{error}");
    }
}
