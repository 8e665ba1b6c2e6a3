//! The fields that create and update share.

use contract::limits::ApiLimits;
use oci::Reference;

use super::super::{
    arguments::Arguments,
    origin::Origin,
    settings::{self, SaidSettings},
};
use crate::{
    registry_access::BASES,
    store::{Fields, Image, Store, StoreError, Tenant},
};

const REGISTRY_IMAGE: &str = "registry_image";

/// What a body says; `None` was not said.
pub(super) struct Said {
    settings: SaidSettings,
    /// Without the registry's host, with a tag or a digest.
    registry_image: Option<String>,
}

impl Said {
    /// Takes the fields; problems stay in `body`.
    ///
    /// # Errors
    /// [`StoreError::Database`], when an image's owner can't be looked up.
    pub(super) async fn take(
        body: &mut Arguments,
        limits: &ApiLimits,
        origin: &Origin,
        tenant: &Tenant,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let settings = SaidSettings::take(body, limits);
        let named = body.text(REGISTRY_IMAGE).filter(|image| !image.is_empty());
        let registry_image = match named {
            Some(text) => registry_image(&text, body, origin, tenant, store).await?,
            None => None,
        };
        Ok(Self { settings, registry_image })
    }

    /// These fields over the defaults of a new container.
    pub(super) fn over_defaults(self, body: &mut Arguments) -> Fields<Image> {
        self.over(Fields { settings: settings::defaults(), program: Image::default() }, body)
    }

    /// These fields over what was; what does not go together is noted in `body`.
    pub(super) fn over(self, was: Fields<Image>, body: &mut Arguments) -> Fields<Image> {
        let registry_image = self.registry_image.or(was.program.registry_image);
        Fields { settings: self.settings.over(was.settings, body), program: Image { registry_image } }
    }
}

/// An image of this server's registry, in a repository of the caller's organization. One that is somebody else's is
/// refused in the same words as one that nobody owns.
async fn registry_image(
    text: &str,
    body: &mut Arguments,
    origin: &Origin,
    tenant: &Tenant,
    store: &Store,
) -> Result<Option<String>, StoreError> {
    let reference = match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => {
            body.refuse_constraint(REGISTRY_IMAGE, error.to_string());
            return Ok(None);
        }
    };
    if !origin.is_registry(&reference.registry) {
        let help = format!(
            "{} is another registry; this server runs images of its own registry only: push it to {}",
            reference.registry,
            origin.registry_endpoint("<namespace>/<name>")
        );
        body.refuse_constraint(REGISTRY_IMAGE, help);
        return Ok(None);
    }
    let slug = reference.repository.split_once('/').map_or("", |(slug, _)| slug);
    if slug == BASES || !store.owns_slug(&tenant.organization_id, slug).await? {
        let help = format!("no registry namespace of yours has the repository {:?}", reference.repository);
        body.refuse_constraint(REGISTRY_IMAGE, help);
        return Ok(None);
    }
    let mut image = reference.repository;
    match (reference.tag, reference.digest) {
        (_, Some(digest)) => image += &format!("@{digest}"),
        (tag, None) => image += &format!(":{}", tag.as_deref().unwrap_or("latest")),
    }
    Ok(Some(image))
}

/// `[a-z0-9][a-z0-9_-]{0,62}` without doubled or trailing separators: the name is a component of its repository. An
/// empty name is refused as missing elsewhere.
pub(super) fn check_name(body: &mut Arguments, name: &str) {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separator = |b: u8| matches!(b, b'_' | b'-');
    let bytes = name.as_bytes();
    let good = name.len() <= 63
        && bytes.iter().all(|b| letter(*b) || separator(*b))
        && bytes.first().is_none_or(|first| letter(*first))
        && bytes.last().is_none_or(|last| letter(*last))
        && !bytes.windows(2).any(|pair| pair.iter().all(|b| separator(*b)));
    if !good {
        let help = "lower-case letters and digits, with single '_' or '-' between them, at most 63";
        body.refuse_constraint("name", help);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_containers_name_is_a_component_of_a_repository() {
        for (name, good) in [
            ("a", true),
            ("container-name", true),
            ("a_b-c1", true),
            (&"x".repeat(63), true),
            (&"x".repeat(64), false),
            ("A", false),
            ("a-", false),
            ("-a", false),
            ("a--b", false),
            ("a-_b", false),
            ("a.b", false),
            ("a b", false),
        ] {
            let mut body = Arguments::new(Map::new());
            check_name(&mut body, name);
            assert_eq!(body.finish().is_ok(), good, "{name}");
            if good {
                assert!(oci::reference::is_repository(name), "{name}");
            }
        }
    }
}
