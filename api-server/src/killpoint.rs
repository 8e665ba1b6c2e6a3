//! Named places where a test may kill the server: before and after every store write and every outside effect
//! of a deploy.
//!
//! Off unless the environment says otherwise, read once:
//! - `ZIPSHIP_KILL_LOG`: file to which the name of every point passed is appended, one a line;
//! - `ZIPSHIP_KILL_AT`: name of the point at which the process kills itself with SIGKILL;
//! - `ZIPSHIP_KILL_ONCE`: marker file made just before that; while it exists nothing is killed.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
};

/// File to which the name of every point passed is appended.
pub const KILL_LOG: &str = "ZIPSHIP_KILL_LOG";
/// Name of the point at which the process kills itself.
pub const KILL_AT: &str = "ZIPSHIP_KILL_AT";
/// Marker file: made before the kill; while it exists nothing is killed.
pub const KILL_ONCE: &str = "ZIPSHIP_KILL_ONCE";

struct Points {
    log: Option<Mutex<File>>,
    at: Option<String>,
    once: Option<PathBuf>,
}

impl Points {
    fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let log = variable(KILL_LOG).and_then(|path| {
            let opened = OpenOptions::new().append(true).create(true).open(&path);
            opened.inspect_err(|error| tracing::error!(%path, %error, "the kill log cannot be opened")).ok()
        });
        Self { log: log.map(Mutex::new), at: variable(KILL_AT), once: variable(KILL_ONCE).map(PathBuf::from) }
    }

    fn hit(&self, name: &str) {
        if let Some(log) = &self.log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            // One write call, so that lines of several processes do not mix.
            let _ = log.write_all(format!("{name}\n").as_bytes());
        }
        if self.at.as_deref() == Some(name) && self.is_first() {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }

    /// Whether the marker was not there; it is now.
    fn is_first(&self) -> bool {
        let Some(marker) = &self.once else { return true };
        OpenOptions::new().write(true).create_new(true).open(marker).is_ok()
    }
}

/// Passes the point `name`; does nothing in ordinary life.
pub fn hit(name: &str) {
    static POINTS: OnceLock<Points> = OnceLock::new();
    POINTS.get_or_init(Points::from_environment).hit(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_passed_is_logged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let points = Points { log: Some(Mutex::new(log)), at: Some("elsewhere".into()), once: None };
        points.hit("a.before");
        points.hit("a.after");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a.before\na.after\n");
    }

    #[test]
    fn the_marker_lets_one_kill_through() {
        let directory = tempfile::tempdir().unwrap();
        let points = Points { log: None, at: None, once: Some(directory.path().join("marker")) };
        assert!(points.is_first());
        assert!(!points.is_first());
    }
}
