//! The workers' own codecs against the golden frames: each side writes and reads the bytes in the file.

use std::process::Command;

use crate::harness::{Language, output};

fn checks(language: Language, script: &str) {
    let directory = env!("CARGO_MANIFEST_DIR");
    let run = |golden: &std::path::Path| {
        let mut command = Command::new(language.interpreter());
        command.arg(format!("{directory}/tests/shim/golden/{script}")).arg(golden);
        output(&mut command)
    };
    let golden = std::path::Path::new(directory).join("golden/frames.json");
    let checked = run(&golden);
    assert!(checked.status.success(), "{language:?}: {}", String::from_utf8_lossy(&checked.stderr));
    assert_eq!(String::from_utf8_lossy(&checked.stdout).trim(), "18 frames", "{language:?}");
    // The check can fail: one byte of one frame is another.
    let text = std::fs::read_to_string(&golden).expect("golden file").replacen("0c00000009", "0c0000000a", 1);
    let altered = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(altered.path(), text).expect("written");
    assert!(!run(altered.path()).status.success(), "{language:?}");
}

#[test]
fn node_reads_and_writes_the_golden_frames() {
    for language in Language::nodes() {
        checks(language, "frames.js");
    }
}

#[test]
fn python_reads_and_writes_the_golden_frames() {
    checks(Language::Python, "frames.py");
}
