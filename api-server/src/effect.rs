//! Outside effects of deploys, uploads, crons, rotations of keys, backups and collections, by name. Each passes a kill point before and after.

use std::future::Future;

use crate::killpoint;

/// Every outside effect there is; the end-to-end tests kill the server at each.
pub const EFFECTS: &[&str] = &[
    "modules.download",
    "compile.run",
    "caches.compile",
    "image.pull",
    "image.push",
    "image.tag",
    "layers.unpack",
    "instance.start",
    "route.switch",
    "route.probe",
    "cron.call",
    "keys.add",
    "keys.remove",
    "backup.snapshot",
    "backup.pack",
    "archive.copy",
    "archive.collect",
    "image.collect",
    "layers.collect",
];

/// Runs an effect of [`EFFECTS`] between its kill points `<name>.before` and `<name>.after`.
pub(crate) async fn effect<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    debug_assert!(EFFECTS.contains(&name), "{name} is not listed");
    killpoint::hit(&format!("{name}.before"));
    let value = work.await;
    killpoint::hit(&format!("{name}.after"));
    value
}
