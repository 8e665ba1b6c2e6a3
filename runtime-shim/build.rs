//! Link options of the static binary.

use std::process::Command;

/// The first glibc whose static programs read packed relocations at their start.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let is_static = target("FEATURE").split(',').any(|feature| feature == "crt-static");
    // Debian's linker for arm64 does not know the option.
    let is_known = target("ARCH") == "x86_64" && target("ENV") == "gnu";
    if is_static && is_known && glibc().is_some_and(|version| version >= PACKED_SINCE) {
        // 85 kB of the 3 MB that the shim may have.
        println!("cargo::rustc-link-arg-bin=zipship-shim=-Wl,-z,pack-relative-relocs");
    }
}

/// The version that is linked: a cross compiler's is of the same release.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
