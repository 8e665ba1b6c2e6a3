//! `zipship images verify`: an image must have the same bytes wherever and by whomever it is built.
//!
//! Each image is built by two processes: other folders, umask, time zone, language, working directory, and (for root)
//! another user.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use builder::Architecture;
use builder::base::Lock;
use clap::Args;
use rustix::fs::Mode;
use rustix::process::umask;
use serde_json::{Value, json};

use super::EXIT_CODES;
use super::list::print_json;
use super::sources::Sources;
use super::targets::{Programs, Target, Wanted, Which};

/// `nobody`, who owns nothing.
const NOBODY: u32 = 65534;

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Verify {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    programs: Programs,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

/// The circumstances of one build.
struct Circumstances {
    umask: u32,
    zone: &'static str,
    language: &'static str,
    directory: &'static str,
    user: Option<u32>,
}

pub(super) fn run(arguments: &Verify) -> anyhow::Result<()> {
    let recipes = arguments.which.recipes()?;
    let workers = arguments.programs.workers()?;
    let (mut values, mut different) = (Vec::new(), Vec::new());
    for target in arguments.which.targets(Wanted::HERE)? {
        let shim = arguments.programs.shim(target.architecture)?;
        let common = [("--recipes", &recipes), ("--workers", &workers)];
        let build = |circumstances: &Circumstances| {
            built(target, arguments, &recipes, &shim, common, circumstances)
                .with_context(|| format!("building {} for {}", target.name, target.architecture))
        };
        let one =
            build(&Circumstances { umask: 0o022, zone: "UTC", language: "C", directory: ".", user: None })?;
        let two = build(&Circumstances {
            umask: 0o077,
            zone: "Pacific/Chatham",
            language: "tr_TR.UTF-8",
            directory: "/",
            user: other_user(),
        })?;
        let same = one == two;
        if !same {
            different.push(format!("{} {}", target.name, target.architecture));
        }
        if arguments.json {
            values.push(json!({
                "runtime": target.name, "architecture": target.architecture,
                "digests": [one, two], "reproduced": same,
            }));
        } else if same {
            println!("{} {} {one} reproduced", target.name, target.architecture);
        } else {
            println!("{} {} {one} {two} DIFFER", target.name, target.architecture);
        }
    }
    print_json(arguments.json, values)?;
    if !different.is_empty() {
        bail!("not reproduced: {}", different.join(", "));
    }
    Ok(())
}

/// Root can try another user, if that one may run this program.
fn other_user() -> Option<u32> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let mut probe = Command::new(std::env::current_exe().ok()?);
    let done =
        probe.arg("--version").uid(NOBODY).gid(NOBODY).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success()).then_some(NOBODY)
}

/// Builds in a folder of its own, by a process of its own; answers the digest.
fn built(
    target: Target,
    arguments: &Verify,
    recipes: &Path,
    shim: &Path,
    common: [(&str, &PathBuf); 2],
    circumstances: &Circumstances,
) -> anyhow::Result<String> {
    let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir()?;
    let downloads = folder.path().join("downloads");
    lend_downloads(target, recipes, &arguments.sources.downloads(), &downloads)?;
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["images", "build", target.name, "--json", "--arch", target.architecture.name()]);
    command.arg("--images-dir").arg(folder.path().join("images")).arg("--downloads").arg(&downloads);
    command.arg("--shim").arg(format!("{}={}", target.architecture, shim.display()));
    for (option, path) in common {
        command.arg(option).arg(path);
    }
    arguments.sources.pass_on(&mut command);
    command.env("TZ", circumstances.zone).env("LC_ALL", circumstances.language).env("TMPDIR", &scratch);
    command.current_dir(circumstances.directory).stderr(Stdio::piped());
    if let Some(user) = circumstances.user {
        for path in [folder.path(), &downloads, &scratch] {
            chown(path, Some(user), Some(user))?;
        }
        command.uid(user).gid(user).env("HOME", &scratch).env_remove("XDG_CACHE_HOME");
    }
    let before = umask(Mode::from_raw_mode(circumstances.umask));
    let output = command.output();
    umask(before);
    let output = output?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let said: Value = serde_json::from_slice(&output.stdout)?;
    Ok(said[0]["digest"].as_str().context("a build says its digest")?.to_owned())
}

/// Copies what is downloaded already, so that the other user can read it and nothing comes twice.
fn lend_downloads(target: Target, recipes: &Path, from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(to)?;
    for architecture in Architecture::ALL {
        let Ok(lock) = Lock::load(&recipes.join(target.name), architecture) else { continue };
        for locked in lock.packages {
            let copied = to.join(&locked.sha256);
            if !copied.exists() && std::fs::copy(from.join(&locked.sha256), &copied).is_ok() {
                std::fs::set_permissions(&copied, std::fs::Permissions::from_mode(0o644))?;
            }
        }
    }
    Ok(())
}
