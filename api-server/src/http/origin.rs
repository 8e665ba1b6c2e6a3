//! What URLs in answers start with: the configured public URL, else the request's own host.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::{header::HOST, request::Parts, uri::Authority};

use super::own_names::Place;
use crate::{AppState, Config, image_name::ImageName};

/// Scheme and host as the caller reaches them.
pub(super) struct Origin {
    base: String,
    /// The host that was asked, which a public URL hides.
    asked: Option<String>,
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

    /// Whether a reference's `host:port` is this server's registry: as its answers name it, as this caller reached it,
    /// or by another name of the same listener, unless the operator allows another registry under that.
    pub(super) fn is_registry(&self, host: &str, config: &Config) -> bool {
        let usual_port = if self.base.starts_with("https:") { 443 } else { 80 };
        let place = |text: &str| Place::read(text, usual_port);
        let Some(named) = place(host) else { return false };
        let own = self.base.split_once("://").and_then(|(_, host)| place(host.split('/').next()?));
        let asked = self.asked.as_deref().and_then(place);
        if [&own, &asked].into_iter().flatten().any(|own| *own == named) {
            return true;
        }
        let beside = asked.is_some_and(|asked| named.is_beside(&asked));
        let another = config.foreign_images.as_ref().is_some_and(|foreign| foreign.guard.allows(host));
        (beside || named.is_listener(config.listen)) && !another
    }

    /// The endpoint of a function or container; its path never changes.
    pub(super) fn endpoint(&self, id: &str) -> String {
        self.url(&format!("/f/{id}"))
    }
}

impl FromRequestParts<AppState> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let header = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
        let host = header.or_else(|| parts.uri.authority().map(Authority::as_str));
        // Only what reads as host and port is echoed.
        let host = host.filter(|host| {
            host.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
        });
        let asked = host.map(str::to_owned);
        let base = match &state.config.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let host = asked.clone().unwrap_or_else(|| state.config.listen.to_string());
                format!("{}://{host}", state.config.scheme.as_str())
            }
        };
        Ok(Self { base, asked })
    }
}
