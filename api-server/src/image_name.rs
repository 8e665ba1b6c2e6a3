//! A container's image as it is stored: of this server's registry without its host, which may change; of another
//! registry whole. What comes before the first slash tells them apart: a namespace's slug has no dot and no colon.

use oci::{Reference, reference::InvalidReference};

/// Where an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageName<'a> {
    /// In this server's registry: `<slug>/<name>:<tag>` or `<slug>/<name>@<digest>`.
    Own(&'a str),
    /// In another: `<host[:port]>/<repository>[:<tag>][@<digest>]`.
    Elsewhere(&'a str),
}

impl<'a> ImageName<'a> {
    /// What a stored name stands for.
    #[must_use]
    pub fn of(stored: &'a str) -> Self {
        let first = stored.split('/').next().unwrap_or_default();
        if first.contains(['.', ':']) { Self::Elsewhere(stored) } else { Self::Own(stored) }
    }
}

/// An image of another registry, read as Docker reads names, as it is stored.
///
/// # Errors
/// [`InvalidReference`]
pub fn elsewhere(text: &str) -> Result<String, InvalidReference> {
    let mut reference = Reference::as_docker_reads(text)?;
    if !reference.registry.contains(['.', ':']) {
        // `localhost`, which may be somebody's slug.
        reference.registry += ":443";
    }
    Ok(reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_tells_where_it_is() {
        for own in ["ns/c:latest", "localhost/c:latest", "library/nginx:latest", "ns/a/b@sha256:1"] {
            assert_eq!(ImageName::of(own), ImageName::Own(own));
        }
        for (text, stored) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("localhost/c", "localhost:443/c:latest"),
            ("127.0.0.1:5000/c:1", "127.0.0.1:5000/c:1"),
            ("[::1]:5000/c:1", "[::1]:5000/c:1"),
            ("quay.io/a/b", "quay.io/a/b:latest"),
        ] {
            assert_eq!(elsewhere(text).as_deref(), Ok(stored));
            assert_eq!(ImageName::of(stored), ImageName::Elsewhere(stored));
        }
    }
}
