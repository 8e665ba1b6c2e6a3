//! The shim for arm64, as `scripts/aarch64` builds it, under qemu's user emulator.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use zipship_tests::{LoneShim, Place};

use crate::lone::{LARGEST, PRIVATE, PUBLIC, TOKEN, elf, executable, go_program};

/// `EM_AARCH64`.
const AARCH64: u16 = 183;

struct Emulated {
    place: Place,
    shim: PathBuf,
    tools: PathBuf,
    folder: TempDir,
}

impl Emulated {
    fn new() -> Self {
        let place = Place::find().unwrap();
        let shim = place.existing("ZIPSHIP_AARCH64_SHIM").unwrap();
        let tools = place.existing("ZIPSHIP_AARCH64").unwrap();
        Self { place, shim, tools, folder: tempfile::tempdir().unwrap() }
    }

    fn qemu(&self) -> PathBuf {
        self.tools.join("host/usr/bin/qemu-aarch64-static")
    }

    /// The shim for a compiled handler. The kernel here cannot run that by itself, so it is a script for qemu.
    fn with_handler(&self, program: &Path) -> Command {
        let script = program.with_extension("emulated");
        executable(&script, &format!("#!{} {}\n", self.qemu().display(), program.display()));
        let mut command = Command::new(self.qemu());
        command.arg(&self.shim).arg("--code").arg(self.folder.path()).arg("--handler").arg(script);
        command
    }
}

#[test]
fn the_binary_is_static_small_and_for_that_machine() {
    let shim = Emulated::new().shim;
    assert_eq!(elf(&shim), (AARCH64, false));
    let size = std::fs::metadata(&shim).unwrap().len();
    assert!(size <= LARGEST, "{size} bytes");
}

#[tokio::test]
async fn it_serves_a_go_handler_of_the_http_form_public_and_private() -> anyhow::Result<()> {
    let emulated = Emulated::new();
    let program = go_program(&emulated.place, "http", "arm64", emulated.folder.path());
    assert_eq!(elf(&program), (AARCH64, false));
    let golang = [("ZIPSHIP_LANGUAGE", "golang")];
    let port = zipship_tests::free_port()?;
    let upstream = [("SCW_UPSTREAM_PORT", &*port)];
    let environment = || golang.into_iter().chain(upstream);

    let public =
        LoneShim::start(&mut emulated.with_handler(&program), environment().chain(PUBLIC.iter().copied()))?;
    assert_eq!(public.get("/a%20b", None).await?, (201, "/a b".into()));
    assert_eq!(public.stop()?, Some(0));

    let private =
        LoneShim::start(&mut emulated.with_handler(&program), environment().chain(PRIVATE.iter().copied()))?;
    assert_eq!(private.get("/a", None).await?, (404, String::new()));
    let cut = &TOKEN[..TOKEN.len() - 1];
    assert_eq!(private.get("/a", Some(("SCW-Functions-Token", cut))).await?.0, 401);
    let token = Some(("SCW-Functions-Token", TOKEN));
    assert_eq!(private.get("/a", token).await?, (201, "/a".into()));
    assert_eq!(private.stop()?, Some(0));
    Ok(())
}

#[tokio::test]
async fn it_serves_a_go_handler_of_the_runtime_api() -> anyhow::Result<()> {
    let emulated = Emulated::new();
    let program = go_program(&emulated.place, "lambda", "arm64", emulated.folder.path());
    let environment = [("ZIPSHIP_LANGUAGE", "golang")].into_iter().chain(PUBLIC.iter().copied());
    let shim = LoneShim::start(&mut emulated.with_handler(&program), environment)?;
    let (status, body) = shim.get("/a", None).await?;
    assert!(status < 300 && !body.is_empty(), "{status} {body}");
    assert_eq!(shim.stop()?, Some(0));
    Ok(())
}

#[tokio::test]
async fn it_serves_an_arm64_python() -> anyhow::Result<()> {
    let emulated = Emulated::new();
    let handler =
        "import platform\n\ndef handle(event, context):\n    return platform.machine() + event['path']\n";
    std::fs::write(emulated.folder.path().join("handler.py"), handler)?;
    let python = emulated.tools.join("target/usr/bin/python3");
    let worker = emulated.place.existing("ZIPSHIP_WORKERS")?.join("python/worker.py");
    let target = emulated.tools.join("target");
    let command: Vec<_> = [&emulated.qemu(), Path::new("-L"), &target, &python, Path::new("-u"), &worker]
        .iter()
        .map(|part| part.display().to_string())
        .collect();
    let command = serde_json::to_string(&command)?;
    let environment = [
        ("ZIPSHIP_LANGUAGE", "python"),
        ("ZIPSHIP_WORKER", &*command),
        ("SCW_HANDLER", "handler.handle"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    let mut shim = Command::new(emulated.qemu());
    shim.arg(&emulated.shim).arg("--code").arg(emulated.folder.path());
    let shim = LoneShim::start(&mut shim, environment.into_iter().chain(PUBLIC.iter().copied()))?;
    assert_eq!(shim.get("/x", None).await?, (200, "aarch64/x".into()));
    assert_eq!(shim.stop()?, Some(0));
    Ok(())
}
