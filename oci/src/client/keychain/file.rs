//! One credentials file: Docker's `config.json`, or Podman's `auth.json`, which is a part of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Docker's own registry in these files.
pub(super) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[derive(Deserialize, Default)]
pub(super) struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

/// What a file says about one registry, or about a part of it.
#[derive(Deserialize, Default)]
pub(super) struct Entry {
    /// `user:password` in base64.
    pub(super) auth: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    /// Exchanged for tokens at the registry's token service.
    pub(super) identitytoken: Option<String>,
    /// Shown to the registry as it is.
    pub(super) registrytoken: Option<String>,
}

impl File {
    /// The helper that has a registry's credentials: its own, else the store for all.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let named = self.helpers.iter().find(|(key, _)| is_of(key, registry)).map(|(_, name)| name);
        named.or(self.store.as_ref()).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The entry whose key says most about a repository: `host/team/app` before `host/team` before `host`.
    pub(super) fn entry(&self, registry: &str, repository: &str) -> Option<&Entry> {
        let mut path = format!("{registry}/{repository}");
        loop {
            if let Some(entry) = self.auths.get(&path) {
                return Some(entry);
            }
            match path.rfind('/') {
                Some(end) => path.truncate(end),
                None => break,
            }
        }
        self.auths.iter().find(|(key, _)| is_of(key, registry)).map(|(_, entry)| entry)
    }
}

/// Whether a key such as `https://host/v1/` is this registry's.
fn is_of(key: &str, registry: &str) -> bool {
    if super::is_docker_hub(registry) && key == DOCKER_HUB {
        return true;
    }
    let host = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = host.trim_end_matches('/');
    let host = host.strip_suffix("/v1").or_else(|| host.strip_suffix("/v2")).unwrap_or(host);
    host == registry
}

/// `user:password` out of base64; older files pad it with NUL.
pub(super) fn decode(auth: &str) -> Result<(String, String), &'static str> {
    let bytes = STANDARD.decode(auth.trim()).map_err(|_| "\"auth\" is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "\"auth\" is not text")?;
    let text = text.trim_end_matches('\0');
    let (user, password) = text.split_once(':').ok_or("\"auth\" is not user:password")?;
    Ok((user.to_owned(), password.to_owned()))
}
