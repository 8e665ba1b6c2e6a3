//! One way from a zip to an image in a registry, as the commands that a CI job would run.

use std::{
    fs::{self, File},
    io::{Read, Seek},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
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
            Self::Run(mut command) => {
                command.stdin(Stdio::null()).stdout(Stdio::null());
                Running::start(command)?.finish(watch)
            }
            Self::Pipe(mut first, mut second) => {
                first.stdin(Stdio::null()).stdout(Stdio::piped());
                let mut writer = Running::start(first)?;
                second.stdin(writer.child.stdout.take().context("a pipe")?).stdout(Stdio::null());
                // When this fails the writer's pipe has no reader left, so it ends by itself, and is waited for.
                let read = Running::start(second).and_then(|reader| reader.finish(watch));
                let written = writer.finish(&mut |_| {});
                read.and(written)
            }
        }
    }
}

/// A process at work. What it says goes to a file: a pipe would fill while `watch` looks on and nobody reads, and would
/// stay open as long as any process that it leaves behind.
struct Running {
    child: Child,
    /// The command, for errors.
    shown: String,
    said: File,
}

impl Running {
    /// Takes the command: as long as it is there it holds its end of a pipe, and the other end never learns that the
    /// process has gone.
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let shown = format!("{command:?}");
        let said = tempfile::tempfile()?;
        let child = command.stderr(said.try_clone()?).spawn();
        Ok(Self { child: child.with_context(|| format!("starting {shown}"))?, shown, said })
    }

    fn finish(mut self, watch: Watch<'_>) -> anyhow::Result<()> {
        watch(&self.child);
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        let mut said = Vec::new();
        self.said.rewind()?;
        self.said.read_to_end(&mut said)?;
        bail!("{}: {status}: {}", self.shown, String::from_utf8_lossy(&said).trim())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// As the memory's watch does: it looks on until the process has ended.
    fn until_it_ends(child: &Child) {
        let path = format!("/proc/{}/status", child.id());
        while fs::read_to_string(&path).is_ok_and(|status| status.contains("RssAnon:")) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn much_that_is_said_does_not_stop_a_watched_command() {
        // More than any pipe holds.
        let loud = shell("head -c 3000000 /dev/zero >&2");
        Step::Run(loud).run(&mut until_it_ends).unwrap();
    }

    #[test]
    fn what_a_command_leaves_behind_is_not_waited_for() {
        let started = Instant::now();
        Step::Run(shell("sleep 5 & exit 0")).run(&mut |_| {}).unwrap();
        assert!(started.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn a_reader_that_goes_ends_its_writer_and_is_the_error() {
        let pipe = Step::Pipe(shell("exec yes"), shell("echo wrong >&2; exit 3"));
        let error = pipe.run(&mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("exit status: 3: wrong"), "{error}");
    }
}
