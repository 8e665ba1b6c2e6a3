//! A bar of bytes on a terminal, for what takes long; nothing where nobody looks.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar with a word before it, without a length yet.
pub(crate) fn bytes(what: &'static str) -> ProgressBar {
    let style = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
    let bar = ProgressBar::no_length().with_message(what);
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
