//! What containers alone have: an image of the user's own.

use contract::{
    api::{Container, Containers, CreateContainer, UpdateContainer},
    limits::{Quotas, cpu_of_memory},
};
use oci::Reference;

use super::{
    applications::{Asked, Wire},
    arguments::Arguments,
    origin::Origin,
};
use crate::{
    image_name::elsewhere,
    registry_access::BASES,
    store::{ContainerRow, Image, StoreError},
};

const REGISTRY_IMAGE: &str = "registry_image";

/// What a body says.
#[derive(Clone)]
pub(super) struct Said {
    /// As it is stored, with a tag or a digest; `None` was not said.
    registry_image: Option<String>,
}

impl Wire for Image {
    type Create = CreateContainer;
    type Update = UpdateContainer;
    type Answer = Container;
    type Page = Containers;
    type Said = Said;

    fn quota(quotas: &Quotas) -> u64 {
        quotas.containers
    }

    fn check_name(body: &mut Arguments, name: &str) {
        check_name(body, name);
    }

    async fn take(body: &mut Arguments, asked: &Asked<'_>) -> Result<Said, StoreError> {
        let named = body.text(REGISTRY_IMAGE).filter(|image| !image.is_empty());
        let registry_image = match named {
            Some(text) => registry_image(&text, body, asked).await?,
            None => None,
        };
        Ok(Said { registry_image })
    }

    fn initial(_: &Said) -> Self {
        Self::default()
    }

    fn over(said: Said, was: Self, _: &mut Arguments) -> Self {
        Self { registry_image: said.registry_image.or(was.registry_image) }
    }

    fn answer(row: ContainerRow, origin: &Origin) -> Container {
        Container {
            registry_image: origin.image(&row.image()),
            endpoint: origin.endpoint(&row.id),
            environment_variables: row.settings.environment.expose().clone(),
            cpu_limit: cpu_of_memory(row.settings.memory_mb).unwrap_or_default(),
            id: row.id,
            name: row.name,
            namespace_id: row.namespace_id,
            status: row.state,
            min_scale: row.settings.min_scale,
            max_scale: row.settings.max_scale,
            memory_limit: row.settings.memory_mb,
            timeout: row.settings.timeout_ms,
            error_message: row.error_message,
            privacy: row.settings.privacy,
            description: row.settings.description,
            region: row.region,
        }
    }

    fn page(containers: Vec<Container>, total_count: u64) -> Containers {
        Containers { containers, total_count }
    }
}

/// An image of this server's registry, in a repository of the caller's organization, or one of another registry. An
/// own one that is somebody else's is refused in the same words as one that nobody owns.
async fn registry_image(
    text: &str,
    body: &mut Arguments,
    asked: &Asked<'_>,
) -> Result<Option<String>, StoreError> {
    let config = &asked.state.config;
    let own = Reference::parse(text).ok().filter(|named| asked.origin.is_registry(&named.registry, config));
    let Some(Reference { repository, tag, digest, .. }) = own else {
        let refused = match elsewhere(text) {
            Ok(_) if config.foreign_images.is_none() => format!(
                "{text} is in another registry; this server runs images of its own registry only: push it to {}",
                asked.origin.registry_endpoint("<namespace>/<name>")
            ),
            Ok(stored) => return Ok(Some(stored)),
            Err(error) => error.to_string(),
        };
        body.refuse_constraint(REGISTRY_IMAGE, refused);
        return Ok(None);
    };
    let slug = repository.split_once('/').map_or("", |(slug, _)| slug);
    let owner = &asked.caller.tenant.organization_id;
    if slug == BASES || !asked.state.store.owns_slug(owner, slug).await? {
        let help = format!("no registry namespace of yours has the repository {repository:?}");
        body.refuse_constraint(REGISTRY_IMAGE, help);
        return Ok(None);
    }
    let target = match digest {
        Some(digest) => format!("@{digest}"),
        None => format!(":{}", tag.as_deref().unwrap_or("latest")),
    };
    Ok(Some(repository + &target))
}

/// `[a-z0-9][a-z0-9_-]{0,62}` without doubled or trailing separators: the name is a component of its repository. An
/// empty name is refused as missing elsewhere.
fn check_name(body: &mut Arguments, name: &str) {
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
