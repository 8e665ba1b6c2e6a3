//! What a push shows while it goes on: a bar on a terminal, a line for each blob in a log, nothing for programs.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use oci::client::{Arrival, Progress};
use oci::{Digest, Image};

const STYLE: &str = "pushing [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
/// Digits of a digest that tell blobs apart.
const SHORT: usize = 12;

/// Shows a push of these images.
pub(crate) fn show(images: &[Image], quiet: bool) -> Option<Arc<Shown>> {
    if quiet {
        return None;
    }
    if !io::stderr().is_terminal() {
        return Some(Arc::new(Shown { bar: None, sent: Mutex::default() }));
    }
    let mut sizes: HashMap<&Digest, u64> = HashMap::new();
    sizes.extend(
        images.iter().flat_map(|image| &image.layers).map(|one| (one.layer.digest(), one.layer.size())),
    );
    let configurations: usize = images.iter().map(|image| image.config.len()).sum();
    let bar = ProgressBar::new(sizes.values().sum::<u64>() + configurations as u64);
    bar.set_style(ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar()));
    Some(Arc::new(Shown { bar: Some(bar), sent: Mutex::default() }))
}

/// What is shown.
pub(crate) struct Shown {
    /// None: lines.
    bar: Option<ProgressBar>,
    /// Bytes of each blob that are there.
    sent: Mutex<HashMap<Digest, u64>>,
}

impl Shown {
    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn set(&self, blob: &Digest, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.insert(blob.clone(), bytes);
        bar.set_position(sent.values().sum());
    }
}

impl Progress for Shown {
    fn sent(&self, blob: &Digest, bytes: u64) {
        self.set(blob, bytes);
    }

    fn arrived(&self, blob: &Digest, bytes: u64, how: Arrival) {
        self.set(blob, bytes);
        if self.bar.is_none() {
            let how = match how {
                Arrival::Mounted => "linked",
                Arrival::Present => "there",
                Arrival::Uploaded => "sent",
            };
            let hex = blob.hex();
            let short = &hex[..hex.len().min(SHORT)];
            let line = format!("blob {short} {:.1} kB {how}\n", bytes as f64 / 1e3);
            // In one write: standard error has no buffer, and lines of several blobs would mix. Nobody may read it.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}
