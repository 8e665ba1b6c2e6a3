//! What URLs in answers start with: the configured public URL, else the request's own host.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{header::HOST, request::Parts, uri::Authority};

use crate::{AppState, image_name::ImageName};

/// Scheme and host as the caller reaches them.
pub(super) struct Origin {
    base: String,
}

impl Origin {
    /// `<origin><path>`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `host:port/<slug>`.
    pub(super) fn registry_endpoint(&self, slug: &str) -> String {
        let host = self.base.split_once("://").map_or(self.base.as_str(), |(_, host)| host);
        format!("{host}/{slug}")
    }

    /// A container's image as users write it.
    pub(super) fn image(&self, stored: &str) -> String {
        match ImageName::of(stored) {
            ImageName::Own(image) => self.registry_endpoint(image),
            ImageName::Elsewhere(image) => image.to_owned(),
        }
    }

    /// Whether a reference's `host:port` is this server's registry, as this caller reaches it.
    pub(super) fn is_registry(&self, host: &str) -> bool {
        self.registry_endpoint("").strip_suffix('/').is_some_and(|own| own.eq_ignore_ascii_case(host))
    }

    /// The endpoint of a function or container; its path never changes.
    pub(super) fn endpoint(&self, id: &str) -> String {
        self.url(&format!("/f/{id}"))
    }
}

impl FromRequestParts<AppState> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        if let Some(url) = &state.config.public_url {
            return Ok(Self { base: url.trim_end_matches('/').to_owned() });
        }
        let header = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
        let host = header.or_else(|| parts.uri.authority().map(Authority::as_str));
        // Only what reads as host and port is echoed.
        let host = host.filter(|host| {
            host.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
        });
        Ok(Self {
            base: format!(
                "{}://{}",
                state.config.scheme.as_str(),
                host.map_or_else(|| state.config.listen.to_string(), str::to_owned)
            ),
        })
    }
}
