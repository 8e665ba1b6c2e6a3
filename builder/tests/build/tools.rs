//! Layers as other programs read them, of archives by several tools.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use builder::layer::{self, LayerOptions, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, vet};

type Files = BTreeMap<String, Vec<u8>>;

fn files() -> Files {
    let big: Vec<u8> = (0..400_000u32).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
    [
        ("handler.js", b"exports.handle = () => 'hi'\n".to_vec()),
        ("src/deep/er/text.txt", b"text ".repeat(5000)),
        ("empty", Vec::new()),
        ("node_modules/x/data.bin", big),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .collect()
}

fn lay_out(directory: &Path) {
    for (name, bytes) in files() {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

/// Archives of the same files by several tools.
fn archives(directory: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let info_zip = |args: &[&str]| run(Command::new("zip").args(args).current_dir(directory), b"");
    // Into a file: on a pipe, Info-ZIP leaves out the end record that -fz needs, and its unzip refuses that too.
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("a.zip");
    info_zip(&["-q", "-fz", "-r", path.to_str().unwrap(), "."]);
    let zip64 = std::fs::read(path).unwrap();
    let python = "import sys, os, zipfile, io\n\
        out = io.BytesIO()\n\
        z = zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED)\n\
        [z.write(os.path.join(d, f), os.path.relpath(os.path.join(d, f))) for d, _, fs in os.walk('.') for f in fs]\n\
        z.close()\n\
        sys.stdout.buffer.write(out.getvalue())";
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files() {
        let large = name.starts_with("src");
        writer.start_file(name, zip::write::SimpleFileOptions::default().large_file(large)).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    vec![
        ("zip -1", info_zip(&["-q", "-1", "-r", "-", "."])),
        ("zip -6", info_zip(&["-q", "-6", "-r", "-", "."])),
        ("zip -9 -D", info_zip(&["-q", "-9", "-D", "-r", "-", "."])),
        ("zip -fz (zip64)", zip64),
        ("zip -0", info_zip(&["-q", "-0", "-r", "-", "."])),
        ("python", run(Command::new("python3").args(["-c", python]).current_dir(directory), b"")),
        ("zip crate", writer.finish().unwrap().into_inner()),
    ]
}

#[test]
fn every_tools_archive_gives_the_same_tar_and_others_read_it() {
    let directory = tempfile::tempdir().unwrap();
    lay_out(directory.path());
    let mut diff_ids = Vec::new();
    for (tool, archive) in archives(directory.path()) {
        let vetted =
            vet(&archive, &ArchiveLimits::default()).unwrap_or_else(|refusal| panic!("{tool}: {refusal}"));
        let limit = Duration::from_secs(60);
        let layer =
            layer::make(Part::Code, &Tree::of(&vetted), limit, &LayerOptions::default()).unwrap().layer;
        let mut bytes = Vec::new();
        layer.open().unwrap().read_to_end(&mut bytes).unwrap();
        // gzip and tar, and Python as a stream: the strictest of common readers.
        let tar = run(Command::new("gzip").arg("-dc"), &bytes);
        assert_eq!(oci::Digest::of(&tar), *layer.diff_id(), "{tool}");
        let listed = String::from_utf8(run(Command::new("tar").arg("t"), &tar)).unwrap();
        assert!(listed.contains("home/app/function/src/deep/er/text.txt\n"), "{tool}: {listed}");
        let python = "import sys, tarfile, hashlib\n\
            for m in (t := tarfile.open(fileobj=sys.stdin.buffer, mode='r|gz')):\n\
            \x20 if m.isfile(): print(m.name, hashlib.sha256(t.extractfile(m).read()).hexdigest())";
        let seen = String::from_utf8(run(Command::new("python3").args(["-c", python]), &bytes)).unwrap();
        let expected: Vec<String> = files()
            .iter()
            .map(|(name, bytes)| format!("home/app/function/{name} {}", oci::Digest::of(bytes).hex()))
            .collect();
        assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{tool}");
        diff_ids.push((tool, layer.diff_id().clone()));
    }
    assert!(diff_ids.iter().all(|(_, id)| *id == diff_ids[0].1), "{diff_ids:#?}");
}
