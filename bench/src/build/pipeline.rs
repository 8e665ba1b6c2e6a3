//! One way from a zip to an image in a registry, as the commands that a CI job would run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::{sets::Set, world::World};

/// What is built now.
pub(super) struct Job<'a> {
    pub(super) world: &'a World,
    pub(super) set: &'a Set,
    pub(super) zip: &'a Path,
    /// `host:port/repository:tag`
    pub(super) target: String,
    /// Empty when the first command starts; what it leaves goes with the job's repository.
    pub(super) scratch: &'a Path,
}

/// A command, or one whose output the next reads.
pub(super) enum Step {
    Run(Command),
    Pipe(Command, Command),
}

/// Who is compared.
pub(super) struct Pipeline {
    pub(super) name: &'static str,
    /// Not measured: what a machine that builds often has already, such as the base.
    pub(super) prepare: fn(&World) -> anyhow::Result<()>,
    pub(super) steps: fn(&Job<'_>) -> anyhow::Result<Vec<Step>>,
}

/// Told of each process while it runs.
pub(super) type Watch<'a> = &'a mut dyn FnMut(&Child);

/// A repository that only one sample pushes to, and a folder that goes with it.
pub(super) struct Repository {
    pub(super) name: String,
    folder: TempDir,
}

impl Repository {
    pub(super) fn fresh(world: &World) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("job-").tempdir_in(world.folder())?;
        Ok(Self { name: world.fresh(), folder })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Pipeline {
    /// Builds and pushes; returns how long all its commands took together. `host` is where the registry is reached.
    pub(super) fn run(
        &self,
        world: &World,
        (set, zip): (&Set, &Path),
        (host, repository): (&str, &Repository),
        watch: Watch<'_>,
    ) -> anyhow::Result<Duration> {
        let target = format!("{host}/bench/{}:1", repository.name);
        let job = Job { world, set, zip, target, scratch: repository.folder() };
        let steps = (self.steps)(&job)?;
        let started = Instant::now();
        for step in steps {
            step.run(watch).with_context(|| self.name)?;
        }
        Ok(started.elapsed())
    }
}

impl Step {
    fn run(self, watch: Watch<'_>) -> anyhow::Result<()> {
        match self {
            Self::Run(mut command) => finish(spawn(&mut command)?, &command, watch),
            Self::Pipe(mut first, mut second) => {
                let mut writer = first.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
                second.stdin(writer.stdout.take().context("a pipe")?);
                let reader = second.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
                finish(reader, &second, watch)?;
                finish(writer, &first, &mut |_| {})
            }
        }
    }
}

fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("starting {command:?}"))
}

fn finish(child: Child, command: &Command, watch: Watch<'_>) -> anyhow::Result<()> {
    watch(&child);
    let output = child.wait_with_output()?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, said());
    Ok(())
}

/// `unzip` into a folder of the job, made new.
pub(super) fn unzip(job: &Job<'_>) -> anyhow::Result<(Step, PathBuf)> {
    let folder = job.scratch.join("unzipped");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut unzip = Command::new("unzip");
    unzip.arg("-q").arg(job.zip).arg("-d").arg(&folder);
    Ok((Step::Run(unzip), folder))
}
