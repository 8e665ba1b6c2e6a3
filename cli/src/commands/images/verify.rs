//! `zipship images verify`: an image must have the same bytes wherever and by whomever it is built.
//!
//! Each image is built by two processes side by side: other folders, umask, time zone, language, working directory, and
//! (for root) another user.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use builder::base::{self, Base, Downloads, Mirrors};
use clap::Args;
use rustix::fs::Mode;
use rustix::process::umask;
use serde_json::json;
use tempfile::TempDir;

use super::EXIT_CODES;
use super::list::{measured, print_json};
use super::progress::Reporter;
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

impl Circumstances {
    /// Two that have nothing in common; root's second build is somebody else's.
    fn two() -> [Self; 2] {
        [
            Self { umask: 0o022, zone: "UTC", language: "C", directory: ".", user: None },
            Self {
                umask: 0o077,
                zone: "Pacific/Chatham",
                language: "tr_TR.UTF-8",
                directory: "/",
                user: other_user(),
            },
        ]
    }
}

pub(super) fn run(arguments: &Verify) -> anyhow::Result<()> {
    let work = Work::new(arguments)?;
    let (mut values, mut different) = (Vec::new(), Vec::new());
    for target in arguments.which.targets(Wanted::HERE)? {
        let (name, architecture) = (target.name, target.architecture);
        let built =
            work.built_twice(target).with_context(|| format!("building {name} for {architecture}"))?;
        let [one, two] = [&built[0].base.digest, &built[1].base.digest];
        let same = one == two;
        if !same {
            different.push(format!("{name} {architecture}"));
        }
        if arguments.json {
            let mut value = measured(&built[0].base)?;
            value.as_object_mut().map(|fields| fields.remove("layout")); // it goes with its folder
            (value["digests"], value["reproduced"]) = (json!([one, two]), same.into());
            values.push(value);
        } else if same {
            println!("{name} {architecture} {one} reproduced");
        } else {
            println!("{name} {architecture} {one} {two} DIFFER");
        }
    }
    print_json(arguments.json, values)?;
    if !different.is_empty() {
        bail!("not reproduced: {}", different.join(", "));
    }
    Ok(())
}

/// What all builds of one call share.
struct Work<'a> {
    arguments: &'a Verify,
    recipes: PathBuf,
    workers: PathBuf,
    downloads: PathBuf,
    mirrors: Mirrors,
    circumstances: [Circumstances; 2],
}

impl<'a> Work<'a> {
    fn new(arguments: &'a Verify) -> anyhow::Result<Self> {
        Ok(Self {
            arguments,
            recipes: arguments.which.recipes()?,
            workers: arguments.programs.workers()?,
            downloads: arguments.sources.downloads(),
            mirrors: arguments.sources.mirrors(),
            circumstances: Circumstances::two(),
        })
    }

    /// Two builds that run side by side.
    fn built_twice(&self, target: Target) -> anyhow::Result<[Built; 2]> {
        let archives = self.download(target)?;
        let shim = self.arguments.programs.shim(target.architecture)?;
        let [one, two] = &self.circumstances;
        let start = |under| self.start(target, &shim, &archives, under);
        let (one, two) = (start(one)?, start(two)?);
        Ok([one.end()?, two.end()?])
    }

    /// Into the folder that all calls share, so that nothing comes twice; answers the names of the files there.
    fn download(&self, target: Target) -> anyhow::Result<BTreeSet<String>> {
        let reporter = Reporter::new(target);
        let from = Downloads {
            folder: &self.downloads,
            mirrors: &self.mirrors,
            progress: &|step| reporter.report(step),
        };
        let archives = base::download(&self.recipes.join(target.name), target.architecture, from);
        reporter.finish();
        Ok(archives?.into_iter().map(|locked| locked.sha256).collect())
    }

    /// Starts a build in a folder of its own, by a process of its own.
    fn start(
        &self,
        target: Target,
        shim: &Path,
        archives: &BTreeSet<String>,
        under: &Circumstances,
    ) -> anyhow::Result<Running> {
        let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let (downloads, scratch) = (at("downloads"), at("scratch"));
        self.lend(archives, &downloads)?;
        fs::create_dir(&scratch)?;
        copy(shim, &at("shim"), 0o755)?;
        copy_folder(&self.workers, &at("workers"))?;
        copy_folder(&self.recipes, &at("recipes"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["images", "build", target.name, "--arch", target.architecture.name()]);
        command.arg("--images-dir").arg(at("images")).arg("--downloads").arg(&downloads);
        command.arg("--shim").arg(format!("{}={}", target.architecture, at("shim").display()));
        command.arg("--recipes").arg(at("recipes")).arg("--workers").arg(at("workers"));
        self.arguments.sources.pass_on(&mut command);
        command.env("TZ", under.zone).env("LC_ALL", under.language).env("TMPDIR", &scratch);
        command.current_dir(under.directory).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(user) = under.user {
            for path in [folder.path(), &downloads, &scratch] {
                chown(path, Some(user), Some(user))?;
            }
            command.uid(user).gid(user).env("HOME", &scratch).env_remove("XDG_CACHE_HOME");
        }
        // A process inherits it, and nothing of this one's is written meanwhile.
        let before = umask(Mode::from_raw_mode(under.umask));
        let process = command.spawn();
        umask(before);
        Ok(Running { process: Some(process?), target, folder: Some(folder) })
    }

    /// Links to what was downloaded, or copies that another user can read.
    fn lend(&self, archives: &BTreeSet<String>, to: &Path) -> anyhow::Result<()> {
        fs::create_dir(to)?;
        for name in archives {
            let (there, lent) = (self.downloads.join(name), to.join(name));
            let readable = fs::metadata(&there)?.permissions().mode() & 0o444 == 0o444;
            if !readable || fs::hard_link(&there, &lent).is_err() {
                copy(&there, &lent, 0o644)?;
            }
        }
        Ok(())
    }
}

/// A copy that another user can read, wherever the original lies.
fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::set_permissions(to, Permissions::from_mode(mode))
}

/// Files and folders; there are no others among recipes and workers.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let copied = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() { copy_folder(&path, &copied)? } else { copy(&path, &copied, 0o644)? }
    }
    Ok(())
}

/// A build that was started; it is ended when dropped.
struct Running {
    process: Option<Child>,
    target: Target,
    folder: Option<TempDir>,
}

/// What a build made, as long as its folder is there.
struct Built {
    base: Base,
    _folder: TempDir,
}

impl Running {
    fn end(mut self) -> anyhow::Result<Built> {
        let (Some(process), Some(folder)) = (self.process.take(), self.folder.take()) else {
            bail!("a build ends once");
        };
        let output = process.wait_with_output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let base = base::locate(&folder.path().join("images"), self.target.name, self.target.architecture)?;
        Ok(Built { base, _folder: folder })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
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
