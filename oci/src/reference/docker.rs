//! Names as Docker reads them: without a registry, Docker Hub's is meant.

use super::{InvalidReference, Reference, is_registry};

/// What Docker calls its own registry, and how that is reached.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// What else it is called.
const OTHER_NAMES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// Where images of one word are, there.
const LIBRARY: &str = "library";
const LATEST: &str = "latest";

impl Reference {
    /// Parses a name as `docker pull` does: `nginx` is `docker.io/library/nginx:latest`, `user/app:1` is
    /// `docker.io/user/app:1`. What comes before the first slash is a registry when it has a dot or a port, or is
    /// `localhost`, and is written in lower case.
    ///
    /// # Errors
    /// [`InvalidReference`]
    pub fn as_docker_reads(text: &str) -> Result<Self, InvalidReference> {
        let registry = text.split_once('/').filter(|(registry, _)| is_registry(registry));
        let (registry, rest) = match registry {
            Some((registry, rest)) => (registry.to_ascii_lowercase(), rest),
            None => (HUB.0.to_owned(), text),
        };
        let of_hub = registry == HUB.0 || OTHER_NAMES.contains(&registry.as_str());
        let registry = if of_hub { HUB.0.to_owned() } else { registry };
        let name = rest.split([':', '@']).next().unwrap_or_default();
        let rest = match of_hub && !name.contains('/') {
            true => format!("{LIBRARY}/{rest}"),
            false => rest.to_owned(),
        };
        let mut reference = Self::parse(&format!("{registry}/{rest}"))?;
        if reference.target().is_none() {
            reference.tag = Some(LATEST.to_owned());
        }
        Ok(reference)
    }

    /// The same image where it is really asked for: Docker Hub's registry has another name than its images.
    #[must_use]
    pub fn where_it_is(&self) -> Self {
        let registry = if self.registry == HUB.0 { HUB.1 } else { &self.registry };
        Self { registry: registry.to_owned(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_docker_means_by_them() {
        let digest = crate::Digest::of(b"x");
        for (text, meant) in [
            ("nginx", "docker.io/library/nginx:latest".to_owned()),
            ("nginx:1.29", "docker.io/library/nginx:1.29".to_owned()),
            (&format!("nginx@{digest}"), format!("docker.io/library/nginx@{digest}")),
            (&format!("nginx:1@{digest}"), format!("docker.io/library/nginx:1@{digest}")),
            ("user/app", "docker.io/user/app:latest".to_owned()),
            ("docker.io/nginx", "docker.io/library/nginx:latest".to_owned()),
            ("index.docker.io/user/app:1", "docker.io/user/app:1".to_owned()),
            ("registry-1.docker.io/user/app:1", "docker.io/user/app:1".to_owned()),
            ("GHCR.io/a/b/c", "ghcr.io/a/b/c:latest".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest".to_owned()),
            ("[::1]:5000/app", "[::1]:5000/app:latest".to_owned()),
        ] {
            assert_eq!(Reference::as_docker_reads(text).unwrap().to_string(), meant, "{text}");
        }
        for text in ["", "/", "Nginx", "a b", "nginx:", "ghcr.io/", "https://ghcr.io/a", "a@b", "ghcr.io/a/B"]
        {
            assert!(Reference::as_docker_reads(text).is_err(), "{text}");
        }
    }

    #[test]
    fn docker_hub_is_asked_where_it_is() {
        let there = |text: &str| Reference::as_docker_reads(text).unwrap().where_it_is().registry;
        assert_eq!(there("nginx"), "registry-1.docker.io");
        assert_eq!(there("quay.io/a/b"), "quay.io");
    }
}
