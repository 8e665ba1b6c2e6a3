//! The log of `serve`: on standard error, for people or as JSON.

use tracing::level_filters::LevelFilter;

/// Starts logging; `json` writes one object a line.
pub(crate) fn start(json: bool, level: LevelFilter) {
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    if json {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_target(false).init();
    }
}
