//! Link options of the static binary.

use std::path::PathBuf;
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
    if is_static && is_known && linker_knows(FOLD) {
        // 15 kB more.
        println!("cargo::rustc-link-arg-bin=zipship-shim={FOLD}");
    }
}

/// Functions that have the same code become one. Only code is folded, no table: what tells tasks apart stays apart.
const FOLD: &str = "-Wl,--icf=all";

/// LLD does, GNU's linker does not; which one is used depends on the toolchain.
fn linker_knows(option: &str) -> bool {
    let variable = |name: &str| std::env::var_os(name);
    let (Some(rustc), Some(target), Some(out)) = (variable("RUSTC"), variable("TARGET"), variable("OUT_DIR"))
    else {
        return false;
    };
    let source = PathBuf::from(&out).join("empty.rs");
    if std::fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut probe = Command::new(rustc);
    probe.arg(&source).arg("--target").arg(target).arg("--out-dir").arg(out);
    probe.args(["-C", "target-feature=+crt-static"]).arg("-C").arg(format!("link-arg={option}"));
    probe.output().is_ok_and(|linked| linked.status.success())
}

/// The version that is linked: a cross compiler's is of the same release.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
