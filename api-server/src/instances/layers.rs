//! Unpacked layers that nobody needs any more go.
//!
//! What runs keeps its layers by itself: the runner removes none that is mounted. What is about to start holds its own,
//! from before it looks whether they are there ([`Inner::hold`]); where one has gone before that, it is unpacked again.

use std::{collections::HashSet, time::Duration};

use oci::Digest;
use runner::RunnerError;

use super::{Inner, LocalInstances, image};

/// How often, and how many times, it is tried again while the runner removes others.
const BUSY: (Duration, u32) = (Duration::from_millis(100), 100);

/// Layers that somebody is about to start from; given back when dropped.
pub(super) struct Held<'a> {
    inner: &'a Inner,
    layers: Vec<Digest>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut known = self.inner.known();
        for layer in &self.layers {
            if let Some(count) = known.held.get_mut(layer.as_str()) {
                *count -= 1;
            }
        }
        known.held.retain(|_, count| *count > 0);
    }
}

impl Inner {
    /// None of these is removed until the answer is dropped.
    pub(super) async fn hold(&self, layers: Vec<Digest>) -> Held<'_> {
        // One that is being removed is gone when this returns.
        let _none_goes = self.removing.read().await;
        let mut known = self.known();
        for layer in &layers {
            *known.held.entry(layer.as_str().to_owned()).or_default() += 1;
        }
        drop(known);
        Held { inner: self, layers }
    }

    /// `false`: it stays, as somebody needs it.
    async fn remove_layer(&self, layer: &Digest) -> Result<bool, RunnerError> {
        let _none_holds = self.removing.write().await;
        {
            let mut known = self.known();
            if known.held.contains_key(layer.as_str()) {
                return Ok(false);
            }
            known.unpacked.remove(layer.as_str());
        }
        self.backend.remove_layer(layer).await
    }
}

impl LocalInstances {
    /// Removes the layers that were unpacked before this, in milliseconds since the Unix epoch, and that no instance has;
    /// but those of these images, by repository and digest. How many it were.
    ///
    /// # Errors
    /// The runner's. What was removed until then was to be removed.
    pub async fn collect_layers(
        &self,
        images: Vec<(String, String)>,
        before: i64,
    ) -> Result<u64, RunnerError> {
        let mut needed = HashSet::new();
        for (repository, digest) in images {
            // One that cannot be read cannot be started either.
            if let Ok(found) = image::find(&self.0, &repository, &digest).await {
                needed.extend(found.diff_ids());
            }
        }
        let mut removed = 0;
        for layer in self.0.backend.layers().await? {
            if layer.since <= before && !needed.contains(&layer.diff_id) {
                removed += u64::from(self.remove_patiently(&layer.diff_id).await?);
            }
        }
        Ok(removed)
    }

    async fn remove_patiently(&self, layer: &Digest) -> Result<bool, RunnerError> {
        let (pause, times) = BUSY;
        for _ in 0..times {
            match self.0.remove_layer(layer).await {
                Err(RunnerError::Unavailable(_)) => tokio::time::sleep(pause).await,
                answer => return answer,
            }
        }
        self.0.remove_layer(layer).await
    }
}
