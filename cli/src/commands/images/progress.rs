//! Progress of a build: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;

use builder::base::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use super::targets::Target;

/// Reports the steps of one image on standard error.
pub(super) struct Reporter {
    name: String,
    bar: Option<ProgressBar>,
}

impl Reporter {
    pub(super) fn new(target: Target) -> Self {
        let name = format!("{} {}", target.name, target.architecture);
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_prefix(name.clone());
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
            bar
        });
        Self { name, bar }
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
        let name = &self.name;
        match step {
            Progress::Fetching { files, bytes } => {
                eprintln!("{name}: downloading {files} files, {:.1} MB", bytes as f64 / 1e6);
            }
            Progress::Received { .. } => {}
            Progress::Fetched { name: package } => eprintln!("{name}: {package}"),
            Progress::Step(what) => eprintln!("{name}: {what}"),
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
