//! What the tests of a lone shim share: a Go program, the keys of a private function, and ELF files looked into.

use std::path::{Path, PathBuf};
use std::process::Command;

use zipship_tests::Place;

/// The largest that a static shim may be, in bytes.
pub(crate) const LARGEST: u64 = 3 << 20;

const KEY: &str = include_str!("../../../../runtime-shim/tests/shim/keys/pkcs1.pem");
/// A token of that key without an end.
pub(crate) const TOKEN: &str = include_str!("../../../../runtime-shim/tests/shim/keys/forever.jwt");

pub(crate) const PUBLIC: &[(&str, &str)] = &[("SCW_PUBLIC", "true")];
pub(crate) const PRIVATE: &[(&str, &str)] = &[
    ("SCW_PUBLIC_KEY", KEY),
    ("SCW_NAMESPACE_ID", "11111111-1111-4111-8111-111111111111"),
    ("SCW_APPLICATION_ID", "22222222-2222-4222-8222-222222222222"),
];

/// Compiles the shim's own test program for a machine: `http` serves the HTTP form, `lambda` the Runtime API.
pub(crate) fn go_program(place: &Place, name: &str, machine: &str, folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-shim/tests/shim/golang").join(name);
    let program = folder.join(name);
    let output = Command::new(place.existing("ZIPSHIP_GO_ROOT").unwrap().join("bin/go"))
        .args(["build", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .envs([("CGO_ENABLED", "0"), ("GOARCH", machine), ("GOTOOLCHAIN", "local"), ("GOWORK", "off")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Number of the machine in an ELF file, and whether it asks for an interpreter (a dynamic loader).
pub(crate) fn elf(path: &Path) -> (u16, bool) {
    const INTERPRETER: u32 = 3;
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..6], b"\x7fELF\x02\x01", "64 bits, little endian");
    let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let headers = usize::try_from(u64::from_le_bytes(bytes[32..40].try_into().unwrap())).unwrap();
    let (size, count) = (usize::from(short(54)), usize::from(short(56)));
    let kind = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    (short(18), (0..count).any(|n| kind(headers + n * size) == INTERPRETER))
}

/// A file that may be run.
pub(crate) fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
