//! `zipship registry clean`: old tags go, then what no tag reaches.

use std::cmp::Ordering;

use anyhow::Context as _;
use clap::Args;
use oci::Reference;
use oci::client::Cleaned;
use serde_json::json;

use super::Access;
use super::list::{Tagged, megabytes, tagged};

/// Arguments of `registry clean`.
#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// The repository: host[:port]/repository.
    #[arg(value_name = "REGISTRY/REPOSITORY")]
    repository: Reference,
    /// Keep the last so many tags, by their names as versions; `latest`, and tags of the same image as a kept one, stay
    /// too. Without it all tags stay.
    #[arg(long, value_name = "COUNT")]
    keep: Option<usize>,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    access: Access,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl Clean {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let client = self.access.client(&self.repository)?;
        let old = match self.keep {
            Some(keep) => old(tagged(&client, &self.repository).await?, keep),
            None => Vec::new(),
        };
        if self.dry_run {
            return self.tell(&old, None);
        }
        for tag in &old {
            let reference = self.repository.with_tag(&tag.tag);
            client.delete(&reference).await.with_context(|| format!("removing {reference}"))?;
        }
        let cleaned = client.clean(&self.repository).await.context("removing what no tag reaches")?;
        self.tell(&old, cleaned)
    }

    fn tell(&self, tags: &[Tagged], cleaned: Option<Cleaned>) -> anyhow::Result<()> {
        if self.json {
            let removed: Vec<_> = tags.iter().map(|tag| &tag.tag).collect();
            let mut value = json!({"dry_run": self.dry_run, "tags": removed});
            if let Some(cleaned) = cleaned {
                value["manifests"] = cleaned.manifests.into();
                value["files"] = cleaned.files.into();
                value["bytes"] = cleaned.bytes.into();
            }
            println!("{}", serde_json::to_string_pretty(&value)?);
            return Ok(());
        }
        let verb = if self.dry_run { "would remove" } else { "removed" };
        for tag in tags {
            println!("{verb} tag {} ({})", tag.tag, tag.digest);
        }
        match cleaned {
            Some(cleaned) => println!(
                "removed {} manifests without a tag; {} freed. What was used within {} hours stays for now",
                cleaned.manifests,
                megabytes(cleaned.bytes),
                cleaned.grace_seconds / 3600
            ),
            None if self.dry_run => println!("{} tags; nothing was removed", tags.len()),
            None => println!("{} tags; this registry frees the space in its own time", tags.len()),
        }
        Ok(())
    }
}

/// The tags that are not among the last `keep`, the oldest first.
fn old(mut tags: Vec<Tagged>, keep: usize) -> Vec<Tagged> {
    // Lists of what is attached to images, and signatures, are no versions.
    tags.retain(|tag| !["sha256-", "sha512-"].iter().any(|list| tag.tag.starts_with(list)));
    tags.sort_by(|a, b| by_version(&a.tag, &b.tag));
    let (latest, mut versions): (Vec<_>, Vec<_>) = tags.into_iter().partition(|tag| tag.tag == "latest");
    let kept = versions.split_off(versions.len().saturating_sub(keep));
    versions.retain(|tag| !latest.iter().chain(&kept).any(|stays| stays.digest == tag.digest));
    versions
}

/// Numbers within names count as numbers: 2 before 10, v1.9 before v1.10.
fn by_version(a: &str, b: &str) -> Ordering {
    let (a_parts, b_parts) = (parts(a), parts(b));
    for (one, other) in a_parts.iter().zip(&b_parts) {
        let order = match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            _ => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a_parts.len().cmp(&b_parts.len()).then_with(|| a.cmp(b))
}

/// Runs of digits, and what is between them.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, image: &str) -> Tagged {
        Tagged { tag: name.to_owned(), digest: oci::Digest::of(image.as_bytes()), holds: Default::default() }
    }

    fn names(tags: &[Tagged]) -> Vec<&str> {
        tags.iter().map(|tag| tag.tag.as_str()).collect()
    }

    #[test]
    fn the_last_versions_stay_and_what_they_share() {
        let tags = || {
            [
                ("sha256-00", "attached"),
                ("10", "j"),
                ("2", "b"),
                ("latest", "c"),
                ("3", "c"),
                ("9", "i"),
                ("1", "j"),
            ]
            .map(|(name, image)| tag(name, image))
            .to_vec()
        };
        assert_eq!(names(&old(tags(), 2)), ["2"], "1 is the image of 10, 3 that of latest");
        assert_eq!(names(&old(tags(), 0)), ["1", "2", "9", "10"]);
        assert!(old(tags(), 9).is_empty());
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["v1.10", "v1.9", "v1", "b", "a10", "a9", "007", "7"];
        names.sort_by(|a, b| by_version(a, b));
        assert_eq!(names, ["007", "7", "a9", "a10", "b", "v1", "v1.9", "v1.10"]);
    }
}
