//! A registry that is allowed although it is not on the internet, as an operator writes it.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// Scheme, host and port: exactly these are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed(Url);

/// Why a text names no registry. `Display` is a user's sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" names no registry: expected HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT")]
pub struct InvalidAllowed {
    text: String,
}

impl Allowed {
    /// Whether a URL is of this registry.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// Whether it is spoken to without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        let refused = || InvalidAllowed { text: text.to_owned() };
        let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&full).map_err(|_| refused())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        match bare && matches!(url.scheme(), "http" | "https") && url.has_host() {
            true => Ok(Self(url)),
            false => Err(refused()),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_place_is_allowed() {
        let covers =
            |allowed: &str, url: &str| allowed.parse::<Allowed>().unwrap().covers(&Url::parse(url).unwrap());
        assert!(covers("registry.inside", "https://registry.inside/v2/"));
        assert!(covers("Registry.Inside:5000", "https://registry.inside:5000/v2/"));
        assert!(covers("http://127.0.0.1:5000", "http://127.0.0.1:5000/v2/"));
        assert!(covers("http://[::1]:5000", "http://[::1]:5000/v2/"));
        assert!(!covers("registry.inside", "http://registry.inside/"));
        assert!(!covers("registry.inside", "https://registry.inside:5000/"));
        assert!(!covers("registry.inside", "https://a.registry.inside/"));
        assert!(!covers("http://127.0.0.1:5000", "https://127.0.0.1:5000/"));
    }

    #[test]
    fn what_names_no_registry() {
        for text in ["", "a/b", "ftp://a", "http://", "http://a/b", "http://u:p@a", "a?x", "a b", "a:x"] {
            let error = text.parse::<Allowed>().unwrap_err();
            assert!(error.to_string().contains("HOST:PORT"), "{text}: {error}");
        }
    }
}
