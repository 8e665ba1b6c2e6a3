//! Progress of a build: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;

use builder::base::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Reports the steps of one runtime on standard error.
pub(super) struct Reporter {
    runtime: &'static str,
    bar: Option<ProgressBar>,
}

impl Reporter {
    pub(super) fn new(runtime: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_prefix(runtime);
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
            bar
        });
        Self { runtime, bar }
    }

    pub(super) fn report(&self, step: Progress<'_>) {
        match &self.bar {
            Some(bar) => draw(bar, step),
            None => self.print(step),
        }
    }

    /// Takes the bar away, so that what is printed next stands alone.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn print(&self, step: Progress<'_>) {
        let runtime = self.runtime;
        match step {
            Progress::Fetching { files, bytes } => {
                eprintln!("{runtime}: downloading {files} files, {:.1} MB", bytes as f64 / 1e6);
            }
            Progress::Received { .. } => {}
            Progress::Fetched { name } => eprintln!("{runtime}: {name}"),
            Progress::Step(what) => eprintln!("{runtime}: {what}"),
        }
    }
}

fn draw(bar: &ProgressBar, step: Progress<'_>) {
    match step {
        Progress::Fetching { bytes, .. } => {
            bar.set_length(bytes);
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {bytes}/{total_bytes} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        }
        Progress::Received { bytes } => bar.inc(bytes),
        Progress::Fetched { name } => bar.set_message(name.to_owned()),
        Progress::Step(what) => {
            let style = ProgressStyle::with_template("{prefix} {spinner} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(what.to_owned());
        }
    }
}
