//! `zipship registry list`: repositories, or the tags of one.

use std::collections::HashMap;

use anyhow::Context as _;
use clap::Args;
use oci::client::{Client, ClientError};
use oci::manifest::{DOCKER_INDEX, Index, Manifest, OCI_INDEX};
use oci::{Digest, Reference};
use serde_json::json;

use super::Access;

/// Arguments of `registry list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// A registry, host[:port], or a repository of it, host[:port]/repository.
    #[arg(value_name = "REGISTRY[/REPOSITORY]")]
    place: String,
    #[command(flatten)]
    access: Access,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
}

/// A tag, and the image that it points to.
#[derive(Debug, Clone)]
pub(super) struct Tagged {
    pub(super) tag: String,
    pub(super) digest: Digest,
    /// Blobs and manifests by digest, with their sizes: images share layers.
    pub(super) holds: HashMap<Digest, u64>,
}

impl List {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        match Reference::parse(&self.place) {
            Ok(repository) => self.tags(&repository).await,
            Err(_) => self.repositories(self.place.trim_end_matches('/')).await,
        }
    }

    async fn repositories(&self, registry: &str) -> anyhow::Result<()> {
        let any = Reference::parse(&format!("{registry}/all")).map_err(|_| {
            anyhow::anyhow!("{registry:?} names no registry: expected host[:port] or host[:port]/repository")
        })?;
        let client = self.access.client(&any)?;
        let names = client.repositories(registry).await.context("listing the repositories")?;
        let mut rows = Vec::new();
        for name in names {
            // A registry may list repositories that never got a tag.
            let tags = match tagged(&client, &Reference::parse(&format!("{registry}/{name}"))?).await {
                Err(error) if is_missing(&error) => Vec::new(),
                tags => tags?,
            };
            rows.push((name, tags.len(), size(&tags)));
        }
        if self.json {
            let row = |(name, tags, bytes): &(String, usize, u64)| json!({"repository": name, "tags": tags, "bytes": bytes});
            println!("{}", serde_json::to_string_pretty(&rows.iter().map(row).collect::<Vec<_>>())?);
            return Ok(());
        }
        let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).max("repository".len());
        println!("{:<width$}  {:>5}  {:>12}", "repository", "tags", "size");
        for (name, tags, bytes) in rows {
            println!("{name:<width$}  {tags:>5}  {:>12}", megabytes(bytes));
        }
        Ok(())
    }

    async fn tags(&self, repository: &Reference) -> anyhow::Result<()> {
        let client = self.access.client(repository)?;
        let tags = tagged(&client, repository).await?;
        if self.json {
            let row = |tag: &Tagged| json!({"tag": tag.tag, "digest": tag.digest, "bytes": tag.holds.values().sum::<u64>()});
            println!("{}", serde_json::to_string_pretty(&tags.iter().map(row).collect::<Vec<_>>())?);
            return Ok(());
        }
        let width = tags.iter().map(|tag| tag.tag.len()).max().unwrap_or(0).max("tag".len());
        println!("{:<width$}  {:>12}  digest", "tag", "size");
        for tag in &tags {
            let bytes = megabytes(tag.holds.values().sum());
            println!("{:<width$}  {bytes:>12}  {}", tag.tag, tag.digest);
        }
        println!("{} in all, layers that images share counted once", megabytes(size(&tags)));
        Ok(())
    }
}

/// The tags of a repository, each with what its image holds.
pub(super) async fn tagged(client: &Client, repository: &Reference) -> anyhow::Result<Vec<Tagged>> {
    let listing = || format!("listing the tags of {}", repository.repository);
    let mut tagged = Vec::new();
    for tag in client.tags(repository).await.with_context(listing)? {
        let reference = repository.with_tag(&tag);
        let reading = || format!("reading {reference}");
        let mut holds = HashMap::new();
        let mut open = vec![reference.clone()];
        let mut digest = None;
        while let Some(next) = open.pop() {
            let (bytes, media_type, found) = match client.manifest(&next).await.with_context(reading) {
                // An index may name images that are not here.
                Err(error) if digest.is_some() && is_missing(&error) => continue,
                manifest => manifest?,
            };
            holds.insert(found.clone(), bytes.len() as u64);
            digest.get_or_insert(found);
            if [OCI_INDEX, DOCKER_INDEX].contains(&media_type.as_str()) {
                let index: Index = serde_json::from_slice(&bytes).with_context(reading)?;
                open.extend(index.manifests.into_iter().map(|child| repository.with_digest(child.digest)));
            } else if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) {
                // Other documents hold nothing that could be counted.
                holds.extend(
                    manifest.layers.into_iter().chain([manifest.config]).map(|blob| (blob.digest, blob.size)),
                );
            }
        }
        // The first manifest was the tag's own.
        tagged.extend(digest.map(|digest| Tagged { tag, digest, holds }));
    }
    Ok(tagged)
}

fn is_missing(error: &anyhow::Error) -> bool {
    let status = error.downcast_ref::<ClientError>().and_then(ClientError::status);
    status.is_some_and(|status| status.as_u16() == 404)
}

/// What all of them hold together.
fn size(tags: &[Tagged]) -> u64 {
    let all: HashMap<&Digest, u64> =
        tags.iter().flat_map(|tag| tag.holds.iter().map(|(d, b)| (d, *b))).collect();
    all.values().sum()
}

/// Bytes for people.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}
