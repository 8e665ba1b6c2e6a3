//! Image references: `host[:port]/repository[:tag][@digest]`.

mod docker;

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, InvalidDigest};

/// The longest repository name that is accepted, in bytes, as common registries have it.
const REPOSITORY_MAX: usize = 255;

/// A place of an image in a registry. Neither a default registry nor a default tag is ever assumed, but by
/// [`Reference::as_docker_reads`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `host` or `host:port`.
    pub registry: String,
    /// The repository's name, `a/b/c`.
    pub repository: String,
    /// The tag, when one is named.
    pub tag: Option<String>,
    /// The manifest's digest, when one is named; it wins over the tag.
    pub digest: Option<Digest>,
}

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// The part before the first slash is no host.
    #[error("\"{0}\" does not begin with a registry: expected host[:port]/repository[:tag][@digest]")]
    Registry(String),
    /// Not a repository name of the distribution specification.
    #[error(
        "\"{0}\" is not a repository name: lower-case letters, digits, and single . _ - or __ between them, separated by /"
    )]
    Repository(String),
    /// Not a tag of the distribution specification.
    #[error("\"{0}\" is not a tag: up to 128 letters, digits, . _ - and no . or - at the start")]
    Tag(String),
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl Reference {
    /// Parses and validates `host[:port]/repository[:tag][@digest]`.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let (registry, rest) = text
            .split_once('/')
            .filter(|(registry, _)| is_registry(registry))
            .ok_or_else(|| InvalidReference::Registry(text.to_owned()))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(InvalidReference::Repository(repository.to_owned()));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(InvalidReference::Tag(tag.to_owned()));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// The same place under this tag and no digest.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The same repository by this digest and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// What stands in a manifest's URL: the digest, else the tag.
    pub fn target(&self) -> Option<&str> {
        self.digest.as_ref().map(Digest::as_str).or(self.tag.as_deref())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Self::parse(text)
    }
}

/// Whether this is a repository name of the distribution specification ("Pulling manifests", `<name>`).
pub fn is_repository(name: &str) -> bool {
    name.len() <= REPOSITORY_MAX && name.split('/').all(is_component)
}

/// Whether this is a tag of the distribution specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    tag.len() <= 128
        && bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().is_some_and(|&byte| is_word(byte)) || !bytes.last().is_some_and(|&byte| is_word(byte)) {
        return false;
    }
    component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => return is_port(port),
            _ => return false,
        },
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let named = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        && !host.starts_with(['.', '-']);
    // "node/app" is a repository without a registry; a host has a dot, a port, or is localhost.
    named
        && match port {
            Some(port) => port.parse::<u16>().is_ok(),
            None => host.contains('.') || host == "localhost",
        }
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_survives() {
        let digest = Digest::of(b"x");
        for text in [
            "127.0.0.1:5000/ns/app:1".to_owned(),
            "localhost/app".to_owned(),
            "[::1]:5000/app:latest".to_owned(),
            "ghcr.io/a/b__c/d-e.f:V1.2_3-x".to_owned(),
            format!("r.example:1/a:t@{digest}"),
            format!("r.example/a@{digest}"),
        ] {
            assert_eq!(Reference::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_ones_say_which_part() {
        assert!(matches!(Reference::parse("node/app"), Err(InvalidReference::Registry(_))));
        assert!(matches!(Reference::parse("app"), Err(InvalidReference::Registry(_))));
        assert!(matches!(Reference::parse("h:x/app"), Err(InvalidReference::Registry(_))));
        for name in ["App", "a//b", "../b", "a/..", "a-", "-a", "a___b", "a..b", "a_-b", "", "a/", "é"] {
            let found = Reference::parse(&format!("h:1/{name}"));
            assert!(matches!(found, Err(InvalidReference::Repository(_))), "{name} {found:?}");
        }
        for tag in ["", ".a", "-a", "a/b", &"a".repeat(129)] {
            assert!(Reference::parse(&format!("h:1/a:{tag}")).is_err(), "{tag}");
        }
        assert!(matches!(Reference::parse("h:1/a@sha256:1"), Err(InvalidReference::Digest(_))));
    }

    #[test]
    fn the_digest_wins_over_the_tag() {
        let digest = Digest::of(b"x");
        let reference = Reference::parse(&format!("h:1/a:t@{digest}")).unwrap();
        assert_eq!(reference.target(), Some(digest.as_str()));
        assert_eq!(reference.with_tag("2").target(), Some("2"));
    }
}
