//! The base images: read from disk, and put into the registry so that functions' images can mount their layers.

use std::{collections::HashMap, path::Path, sync::Arc};

use builder::{
    Architecture,
    base::{self, Base, BaseError},
};
use oci::{
    Reference,
    client::{Client, ClientError},
};

/// The bases that were built for this machine, by runtime.
pub(super) fn load(images: &Path) -> Result<HashMap<String, Arc<Base>>, BaseError> {
    let bases = base::list(images)?.into_iter().filter(|base| base.architecture == Architecture::HOST);
    Ok(bases.map(|base| (base.runtime.clone(), Arc::new(base))).collect())
}

/// Pushes each base to `base/<runtime>` of the registry; what is there already costs a look.
pub(super) async fn publish(
    bases: &HashMap<String, Arc<Base>>,
    client: &Client,
    registry: &str,
) -> Result<(), ClientError> {
    for base in bases.values() {
        let reference = Reference {
            registry: registry.to_owned(),
            repository: base.repository(),
            tag: Some("latest".to_owned()),
            digest: None,
        };
        let there = client.manifest(&reference).await;
        if there.is_ok_and(|(_, _, digest)| digest == base.digest) {
            continue;
        }
        let pushed = client.push(&base.image, &reference).await?;
        tracing::info!(runtime = %base.runtime, digest = %base.digest, bytes = pushed.uploaded_bytes, "base stored");
    }
    Ok(())
}
