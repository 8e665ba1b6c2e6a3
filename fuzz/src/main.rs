//! One program for all fuzz targets. As `scripts/fuzz` builds it, libFuzzer drives the target that
//! `ZIPSHIP_FUZZ_TARGET` names; built plainly, it replays files: `cargo run -p zipship-fuzz -- token FILE...`.

#![cfg_attr(fuzzing, no_main)]

use zipship_fuzz::{Target, targets};

/// A bug that is there on purpose: a fuzzer that does not find it finds nothing.
const PLANTED: (&str, Target) = ("planted", planted);

/// # Panics
/// For a text that guessing does not find, and coverage does.
fn planted(bytes: &[u8]) {
    let [a, b, c, d, ..] = bytes else { return };
    if *a == b'z' && *b == b'i' && *c == b'p' {
        assert!(*d != b'!', "the planted bug");
    }
}

fn target(name: &str) -> Option<Target> {
    targets().chain([PLANTED]).find(|(known, _)| *known == name).map(|(_, run)| run)
}

#[cfg(fuzzing)]
mod driven {
    use std::sync::LazyLock;

    static TARGET: LazyLock<zipship_fuzz::Target> = LazyLock::new(|| {
        let name = std::env::var("ZIPSHIP_FUZZ_TARGET").unwrap_or_default();
        super::target(&name).unwrap_or_else(|| panic!("ZIPSHIP_FUZZ_TARGET is {name:?}: no such target"))
    });

    libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
}

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(run) = arguments.next().and_then(|name| target(&name)) else {
        let known: Vec<_> = targets().map(|(name, _)| name).collect();
        eprintln!("usage: zipship-fuzz TARGET FILE...; targets: {}", known.join(" "));
        return std::process::ExitCode::from(64);
    };
    for path in arguments {
        match std::fs::read(&path) {
            // A panic is the finding: it ends the program with its message.
            Ok(bytes) => run(&bytes),
            Err(error) => {
                eprintln!("{path}: {error}");
                return std::process::ExitCode::FAILURE;
            }
        }
    }
    std::process::ExitCode::SUCCESS
}
