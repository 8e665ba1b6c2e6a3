//! Archives by the tools that people use, made here and now: each is read whole, and the same files with the same
//! modes are the same layer, whoever packed them. Tools of macOS and Windows are in `fixtures`, byte by byte.

pub(crate) mod fixtures;
#[path = "../../../../tests/settings.rs"]
mod settings;
mod traits;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use builder::layer::{self, Part};
use builder::tree::Tree;
use builder::zip::{ArchiveLimits, Inflater, Kind, vet};
use zip::write::SimpleFileOptions;

use self::settings::setting;

/// What a tool keeps of the files' modes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Modes {
    Kept,
    /// Nothing is executable afterwards.
    Lost,
}
use Modes::{Kept, Lost};

/// A tool, the shell's words that make `$OUT` of the current directory, and what its archive is known for.
struct Producer {
    name: &'static str,
    script: &'static str,
    modes: Modes,
    /// Of `traits::of`: a fixture that lacks what it is there for proves nothing.
    has: &'static [&'static str],
}

const fn producer(
    name: &'static str,
    script: &'static str,
    modes: Modes,
    has: &'static [&'static str],
) -> Producer {
    Producer { name, script, modes, has }
}

const PRODUCERS: [Producer; 22] = [
    producer("zip -1", "zip -q -1 -r $OUT .", Kept, &["unix", "directories"]),
    producer("zip -6", "zip -q -6 -r $OUT .", Kept, &["unix", "directories"]),
    producer("zip -9 -D", "zip -q -9 -D -r $OUT .", Kept, &["unix"]),
    producer("zip -0", "zip -q -0 -r $OUT .", Kept, &["stored"]),
    producer("zip -X", "zip -q -X -r $OUT .", Kept, &["unix"]),
    // Into a file: on a pipe, Info-ZIP leaves out the end record that -fz needs, and its unzip refuses that too.
    producer("zip -fz", "zip -q -fz -r $OUT .", Kept, &["zip64"]),
    producer("zip to a pipe", "zip -q -r - . | cat > $OUT", Kept, &["descriptor"]),
    producer("7z", "7zz a -tzip -bso0 -bsp0 $OUT .", Kept, &["utf-8"]),
    producer("7z -mx=9", "7zz a -tzip -mx=9 -mm=Deflate -bso0 -bsp0 $OUT .", Kept, &["utf-8"]),
    producer("bsdtar", "bsdtar -a -cf $OUT *", Kept, &["descriptor"]),
    producer("bsdtar of .", "bsdtar --format zip -cf $OUT .", Kept, &["descriptor", "directories"]),
    producer("python zipfile", "python3 -c \"$PACK\" zipfile", Kept, &["unix", "utf-8"]),
    producer("python shutil", "python3 -c \"$PACK\" shutil", Kept, &["unix", "directories"]),
    producer("python to a pipe", "python3 -c \"$PACK\" pipe | cat > $OUT", Kept, &["descriptor"]),
    producer("python force_zip64", "python3 -c \"$PACK\" zip64", Lost, &["local zip64"]),
    producer("go Create", "$GO_PACK create > $OUT", Lost, &["descriptor", "utf-8"]),
    producer("go AddFS", "$GO_PACK fs > $OUT", Kept, &["descriptor", "utf-8"]),
    producer("go stored", "$GO_PACK stored > $OUT", Kept, &["stored"]),
    producer("npm archiver", "node $NODE_PACK archiver", Kept, &["descriptor"]),
    producer("npm archiver by names", "node $NODE_PACK serverless", Kept, &["descriptor"]),
    producer("npm adm-zip", "node $NODE_PACK adm-zip", Kept, &["utf-8"]),
    producer(
        "git archive",
        "cp -r . $OUT.d && cd $OUT.d && git init -q . && git add -A && git -c user.name=x -c user.email=x@y commit -qm x \
         && git archive --format=zip -o $OUT HEAD",
        Kept,
        &["fat", "utf-8"],
    ),
];

pub(crate) type Files = BTreeMap<String, (bool, Vec<u8>)>;

/// What is packed: path, whether it is executable, and bytes.
fn files() -> Files {
    let noise: Vec<u8> =
        (0..50_000u32).flat_map(|i| i.wrapping_mul(i).wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    [
        ("handler.js", false, b"exports.handle = () => 'hi'\n".to_vec()),
        ("bin/run", true, b"#!/bin/sh\n".to_vec()),
        ("src/deep/er/text.txt", false, b"text ".repeat(5000)),
        ("empty", false, Vec::new()),
        ("nam\u{e9}s/\u{4e2d}\u{6587}.txt", false, b"UTF-8".to_vec()),
        ("node_modules/x/data.bin", false, noise),
        ("nested.zip", false, crate::archive::zip(&[crate::cases::a()])),
    ]
    .into_iter()
    .map(|(name, executable, bytes)| (name.to_owned(), (executable, bytes)))
    .collect()
}

fn lay_out(directory: &Path) {
    for (name, (executable, bytes)) in files() {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let mode = if executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
}

/// The Go program that packs, compiled once.
fn go_packer() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let scratch =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go-packer-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).unwrap();
        let (program, cache) = (scratch.join("pack"), scratch.join("cache"));
        // The compiled standard library, by links: what Go writes here stays here.
        let link = "cp -al \"$1\" \"$2\" 2>/dev/null || cp -a \"$1\" \"$2\"";
        run(Command::new("sh").args(["-c", link, "sh"]).arg(setting("ZIPSHIP_GO_CACHE")).arg(&cache));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/build/producers/pack.go");
        run(Command::new(setting("ZIPSHIP_GO_ROOT").join("bin/go"))
            .args(["build", "-trimpath", "-o"])
            .args([&program, Path::new(source)])
            .env("GOCACHE", &cache)
            .envs([("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOTOOLCHAIN", "local"), ("GO111MODULE", "off")]));
        std::fs::remove_dir_all(cache).unwrap();
        program
    })
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} (scripts/setup test): {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Producer {
    fn archive(&self, directory: &Path) -> Vec<u8> {
        let outside = tempfile::tempdir().unwrap();
        let out = outside.path().join("a.zip");
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", self.script])
            .current_dir(directory)
            .env("OUT", &out)
            .env("LC_ALL", "C.UTF-8");
        command.env("PACK", include_str!("pack.py"));
        command.env("NODE_PACK", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/build/producers/pack.js"));
        command.env("NODE_PATH", setting("ZIPSHIP_ZIP_PACKAGES").join("node_modules"));
        if self.script.contains("GO_PACK") {
            command.env("GO_PACK", go_packer());
        }
        run(&mut command);
        std::fs::read(out).unwrap()
    }
}

/// The `zip` crate's archive of the same files.
fn by_the_zip_crate() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (executable, bytes)) in files() {
        let mode = if executable { 0o755 } else { 0o644 };
        let large = name.starts_with("src");
        let options = SimpleFileOptions::default().large_file(large).unix_permissions(mode);
        writer.start_file(name, options).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// What we read of an archive.
fn read(tool: &str, archive: &[u8]) -> Files {
    let vetted =
        vet(archive, &ArchiveLimits::default()).unwrap_or_else(|refusal| panic!("{tool}: {refusal}"));
    assert_eq!(vetted.warnings, Vec::<String>::new(), "{tool}");
    let mut inflater = Inflater::new();
    let mut found = Files::new();
    for entry in &vetted.entries {
        if let Kind::File { executable, data } = &entry.kind {
            found.insert(entry.path.clone(), (*executable, data.read(&entry.path, &mut inflater).unwrap()));
        }
    }
    found
}

fn diff_id(archive: &[u8]) -> oci::Digest {
    let vetted = vet(archive, &ArchiveLimits::default()).unwrap();
    let options = layer::LayerOptions::default();
    let made = layer::make(Part::Code, &Tree::of(&vetted), Duration::from_secs(60), &options).unwrap();
    made.layer.diff_id().clone()
}

#[test]
fn every_tools_archive_has_the_same_files_and_gives_the_same_layer() {
    let directory = tempfile::tempdir().unwrap();
    lay_out(directory.path());
    let without_modes = files().into_iter().map(|(name, (_, bytes))| (name, (false, bytes))).collect();
    let expected = [(Kept, files()), (Lost, without_modes)];
    let mut diff_ids = vec![("zip crate", Kept, diff_id(&by_the_zip_crate()))];
    assert_eq!(read("zip crate", &by_the_zip_crate()), files());
    for producer in &PRODUCERS {
        let archive = producer.archive(directory.path());
        let traits = traits::of(&archive);
        for wanted in producer.has {
            assert!(traits.contains(wanted), "{} has no {wanted}: {traits:?}", producer.name);
        }
        let (_, files) = expected.iter().find(|(modes, _)| *modes == producer.modes).unwrap();
        let found = read(producer.name, &archive);
        let names = |files: &Files| {
            files.iter().map(|(name, (x, bytes))| (name.clone(), *x, bytes.len())).collect::<Vec<_>>()
        };
        assert_eq!(names(&found), names(files), "{}", producer.name);
        assert!(found == *files, "{}: bytes differ", producer.name);
        diff_ids.push((producer.name, producer.modes, diff_id(&archive)));
    }
    for (name, modes, id) in &diff_ids {
        let (first, _, same) = diff_ids.iter().find(|(_, other, _)| other == modes).unwrap();
        assert_eq!(id, same, "{name} and {first}");
    }
}

#[test]
fn what_bsdtar_pads_on_a_pipe_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    lay_out(directory.path());
    let archive =
        producer("", "bsdtar --format zip -cf - . | cat > $OUT", Kept, &[]).archive(directory.path());
    let refusal = vet(&archive, &ArchiveLimits::default()).unwrap_err();
    assert_eq!(refusal.code(), "zip.trailer");
    assert!(refusal.to_string().contains("let it write a file"), "{refusal}");
}

#[test]
fn links_of_the_tools_that_have_them_stay_links() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("node_modules/.bin")).unwrap();
    std::fs::create_dir_all(directory.path().join("node_modules/x")).unwrap();
    std::fs::write(directory.path().join("node_modules/x/cli.js"), "1").unwrap();
    symlink("../x/cli.js", directory.path().join("node_modules/.bin/x")).unwrap();
    let tools = [
        producer("zip -y", "zip -q -y -r $OUT .", Kept, &[]),
        producer("7z -snl", "7zz a -tzip -snl -bso0 -bsp0 $OUT .", Kept, &[]),
        producer("bsdtar", "bsdtar -a -cf $OUT *", Kept, &[]),
        producer("go AddFS", "$GO_PACK links > $OUT", Kept, &[]),
        producer("npm archiver", "node $NODE_PACK archiver", Kept, &[]),
    ];
    let git = PRODUCERS.iter().filter(|producer| producer.name == "git archive");
    for tool in tools.iter().chain(git) {
        let archive = tool.archive(directory.path());
        let vetted =
            vet(&archive, &ArchiveLimits::default()).unwrap_or_else(|error| panic!("{}: {error}", tool.name));
        let links: Vec<_> = vetted
            .entries
            .iter()
            .filter_map(|entry| match &entry.kind {
                Kind::Link { target } => Some((entry.path.as_str(), target.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(links, [("node_modules/.bin/x", "../x/cli.js")], "{}", tool.name);
    }
}

/// Small archives of several tools, to be mutated.
pub(crate) fn small() -> Vec<(&'static str, Vec<u8>)> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("d")).unwrap();
    std::fs::write(directory.path().join("a.js"), "hello hello hello hello\n").unwrap();
    std::fs::write(directory.path().join("d/\u{e9}"), "x").unwrap();
    std::fs::write(directory.path().join("empty"), "").unwrap();
    symlink("../a.js", directory.path().join("d/link")).unwrap();
    let links = |tool: &Producer| tool.archive(directory.path());
    let mut found: Vec<_> =
        ["zip -X", "zip -fz", "zip to a pipe", "7z", "bsdtar", "python to a pipe", "npm archiver"]
            .map(|name| PRODUCERS.iter().find(|producer| producer.name == name).unwrap())
            .map(|producer| (producer.name, links(producer)))
            .into();
    found.push(("zip -y", links(&producer("zip -y", "zip -q -y -X -r $OUT .", Kept, &[]))));
    found
}
