//! How layers are made: `--compression`, the time in them, and the cache of layers.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use builder::layer::{Compression, LATEST_MTIME, LayerCache, LayerOptions};
use clap::Args;

/// The time that everything in an image has, in seconds since 1970 (see reproducible-builds.org).
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The cache keeps so many bytes.
const CACHE_LIMIT: u64 = 2 << 30;

#[derive(Debug, Args)]
pub(super) struct Layers {
    /// How layers are compressed: reuse (the archive's own streams, as gzip), gzip:1 to gzip:9, zstd:1 to zstd:19, none.
    #[arg(long, value_name = "HOW", default_value = "reuse")]
    compression: Compression,
    /// Keep layers here, so that what has not changed is not made again [default: $XDG_CACHE_HOME/zipship/layers].
    #[arg(long, value_name = "DIR")]
    layer_cache: Option<PathBuf>,
    /// Make every layer, and keep none.
    #[arg(long, conflicts_with = "layer_cache")]
    no_cache: bool,
}

impl Layers {
    /// The cache. One that is only there by default may be missing: a folder may be read-only.
    pub(super) fn cache(&self) -> anyhow::Result<Option<LayerCache>> {
        if self.no_cache {
            return Ok(None);
        }
        match &self.layer_cache {
            Some(folder) => {
                let about = || format!("the layer cache {}", super::shown(folder));
                LayerCache::open(folder, CACHE_LIMIT).map(Some).with_context(about)
            }
            None => {
                let folder = super::super::images::defaults::cache().join("layers");
                Ok(LayerCache::open(&folder, CACHE_LIMIT)
                    .inspect_err(
                        |error| tracing::debug!(folder = %folder.display(), %error, "no layer cache"),
                    )
                    .ok())
            }
        }
    }

    pub(super) fn options<'a>(&self, cache: Option<&'a LayerCache>) -> anyhow::Result<LayerOptions<'a>> {
        let mtime = mtime(std::env::var(SOURCE_DATE_EPOCH).ok().as_deref())?;
        Ok(LayerOptions { compression: self.compression, mtime, cache, ..LayerOptions::default() })
    }
}

fn mtime(variable: Option<&str>) -> anyhow::Result<u64> {
    let Some(text) = variable.filter(|text| !text.is_empty()) else { return Ok(0) };
    match text.parse() {
        Ok(seconds) if seconds <= LATEST_MTIME => Ok(seconds),
        _ => bail!("${SOURCE_DATE_EPOCH} is {text:?}; it must be seconds since 1970, at most {LATEST_MTIME}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_a_number_or_refused() {
        assert_eq!(mtime(None).unwrap(), 0);
        assert_eq!(mtime(Some("")).unwrap(), 0);
        assert_eq!(mtime(Some("1700000000")).unwrap(), 1_700_000_000);
        for wrong in ["-1", "now", "8589934592"] {
            assert!(mtime(Some(wrong)).unwrap_err().to_string().contains(wrong));
        }
    }
}
