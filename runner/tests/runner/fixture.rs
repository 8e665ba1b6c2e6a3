//! The nouns of these tests: a world (a data directory), a layer, an instance and its pipes.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::Duration;

use libtest_mimic::Failed;
use oci::Digest;
use runner::local::{Client, Hangup, LauncherConfig, life, server_dir};
use runner::{Backend, Compression, Exited, InstanceFds, InstanceSpec};
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

const SERVER_USER: u32 = 64_242;

pub(crate) struct World {
    small: Option<SmallDisk>,
    directory: tempfile::TempDir,
}

/// A file system of few bytes, mounted as long as this lives.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// An outer process; a test that fails takes it along.
pub(crate) struct Outer(Child);

impl Outer {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        // Ended already, in a test that went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    pub(crate) fn new() -> Result<Self, Failed> {
        if !rustix::process::geteuid().is_root() {
            return Err("these tests need root: they make real sandboxes".into());
        }
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        Ok(Self { small: None, directory })
    }

    /// A world on a disk that is easily filled.
    pub(crate) fn on_small_disk() -> Result<Self, Failed> {
        let mut world = Self::new()?;
        let path = world.directory.path().to_owned();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", &path, "tmpfs", flags, Some(c"size=12m,mode=755"))?;
        world.small = Some(SmallDisk(path));
        Ok(world)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A file of root's that everybody may read.
    pub(crate) fn victim(&self) -> PathBuf {
        self.directory.path().join("victim")
    }

    pub(crate) fn serve(&self, scenario: &str) -> std::io::Result<Outer> {
        let executable = std::env::current_exe()?;
        Ok(Outer(Command::new(executable).arg("serve").arg(self.data()).arg(scenario).spawn()?))
    }

    /// After the end: no mount, no control group, no file but layers and the lock.
    pub(crate) fn assert_nothing_left(&self) -> Result<(), Failed> {
        let data = fs::canonicalize(self.data())?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        if mounts.contains(&data.display().to_string()) {
            return Err("a mount is left".into());
        }
        for directory in ["roots", "bundles", "compile", "runtime"] {
            let left = fs::read_dir(data.join("launcher").join(directory)).map_or(0, Iterator::count);
            if left > 0 {
                return Err(format!("{left} entries are left in {directory}").into());
            }
        }
        match self.cgroups().first() {
            Some(group) => Err(format!("{} is left", group.display()).into()),
            None => Ok(()),
        }
    }

    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        cgroups(&self.data())
    }
}

/// The parent control groups of a data directory, in all hierarchies.
pub(crate) fn cgroups(data: &Path) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let Ok(data) = fs::canonicalize(data) else { return Vec::new() };
    let name = format!("zipship-{}", &Digest::of(data.as_os_str().as_bytes()).hex()[..16]);
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let mut groups: Vec<PathBuf> = hierarchies.map(|hierarchy| hierarchy.path().join(&name)).collect();
    groups.push(Path::new("/sys/fs/cgroup").join(name));
    groups.retain(|group| group.is_dir());
    groups
}

/// `serve DATA SCENARIO`: the outer process.
pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = LauncherConfig {
        data_dir: PathBuf::from(&arguments[0]),
        uid: SERVER_USER,
        gid: SERVER_USER,
        server: vec!["server".to_owned(), arguments[0].clone(), arguments[1].clone()],
        server_configuration: "".into(),
        server_without: Vec::new(),
        certificate: None,
        hangup: Hangup::Ends,
        runtime: PathBuf::from("runc"),
        go_toolchain: go_env("GOROOT"),
        go_cache: go_env("GOCACHE").filter(|cache| cache.is_dir()),
        shutdown: Duration::from_secs(5),
    };
    let served = life::hold(&config.data_dir).and_then(|held| life::serve(config, held));
    match served {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn go_env(name: &str) -> Option<PathBuf> {
    let output = Command::new("go").args(["env", name]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(text.trim())).filter(|path| path.is_absolute())
}

/// `server DATA SCENARIO`: the unprivileged server.
pub(crate) fn server(arguments: &[String]) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a tokio runtime");
    let server = Server { data: server_dir(Path::new(&arguments[0])) };
    let name = arguments[1].as_str();
    let outcome = runtime.block_on(async {
        let client = Client::from_environment()?;
        tokio::time::timeout(Duration::from_secs(120), async {
            match name {
                _ if name.starts_with("life_") => crate::life::run(name, &server, &client).await,
                _ if name.starts_with("unpack_") => crate::unpack::run(name, &server, &client).await,
                _ if name.starts_with("hostile_") => crate::hostile::run(name, &server, &client).await,
                _ if name.starts_with("precompile_") => crate::precompile::run(name, &server, &client).await,
                _ if name.starts_with("compile_") => crate::compile::run(name, &server, &client).await,
                _ => crate::instances::run(name, &server, &client).await,
            }
        })
        .await?
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scenario {name}: {error}");
            // A wrong configuration: not started again.
            ExitCode::from(64)
        }
    }
}

pub(crate) struct Server {
    pub(crate) data: PathBuf,
}

/// The near ends of an instance's descriptors.
pub(crate) struct Ends {
    pub(crate) ready: File,
    pub(crate) log: File,
    pub(crate) listen: PathBuf,
}

impl Server {
    /// The same as the world's.
    pub(crate) fn victim(&self) -> PathBuf {
        self.data.ancestors().nth(2).map_or_else(PathBuf::new, |directory| directory.join("victim"))
    }

    /// Unpacks a layer with busybox in it and all its names that the scripts use.
    pub(crate) async fn busybox(&self, client: &Client) -> Result<Digest, Box<dyn std::error::Error>> {
        let tar = busybox_layer()?;
        let diff_id = Digest::of(&tar);
        client.unpack(&diff_id, self.blob(&tar)?, Compression::None).await?;
        Ok(diff_id)
    }

    pub(crate) fn blob(&self, bytes: &[u8]) -> std::io::Result<File> {
        let mut file = tempfile::tempfile_in(&self.data)?;
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(file)
    }

    pub(crate) fn script(&self, id: &str, layer: &Digest, script: &str) -> InstanceSpec {
        InstanceSpec {
            id: id.to_owned(),
            layers: vec![layer.clone()],
            entrypoint: ["/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec(),
            environment: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
            working_directory: "/".to_owned(),
            memory_mb: 128,
            pids: 64,
            labels: BTreeMap::from([("function".to_owned(), "f".to_owned())]),
        }
    }

    /// Starts it with fresh descriptors; `control` is what it can read from descriptor 6.
    pub(crate) async fn start(
        &self,
        client: &Client,
        spec: InstanceSpec,
        control: &str,
    ) -> Result<Ends, Box<dyn std::error::Error>> {
        let run = self.data.join("run");
        fs::create_dir_all(&run)?;
        let listen = run.join(format!("{}.sock", spec.id));
        let socket = UnixListener::bind(&listen)?;
        let (ready, ready_far) = pipe()?;
        let (log, log_far) = pipe()?;
        let (control_far, mut near) = pipe()?;
        near.write_all(control.as_bytes())?;
        drop(near);
        let fds = InstanceFds {
            listen: socket.into(),
            ready: ready_far.into(),
            log: log_far.into(),
            control: control_far.into(),
        };
        client.start(spec, fds).await?;
        Ok(Ends { ready, log, listen })
    }
}

fn pipe() -> std::io::Result<(File, File)> {
    let (read, write): (OwnedFd, OwnedFd) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((File::from(read), File::from(write)))
}

/// Everything until the last holder of the other end is gone.
pub(crate) async fn read_all(mut file: File) -> Result<String, Box<dyn std::error::Error>> {
    let text = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        file.read_to_string(&mut text).map(|_| text)
    });
    Ok(text.await??)
}

/// The next line, or an error at the end.
pub(crate) async fn read_line(file: &File) -> Result<String, Box<dyn std::error::Error>> {
    let mut file = file.try_clone()?;
    let line = tokio::task::spawn_blocking(move || {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while file.read(&mut byte)? == 1 && byte != [b'\n'] {
            line.push(byte[0]);
        }
        std::io::Result::Ok(String::from_utf8_lossy(&line).into_owned())
    });
    Ok(line.await??)
}

pub(crate) async fn exit_of(
    exits: &mut UnboundedReceiver<Exited>,
    id: &str,
) -> Result<Exited, Box<dyn std::error::Error>> {
    while let Some(exited) = exits.recv().await {
        if exited.instance == id {
            return Ok(exited);
        }
    }
    Err("the launcher is gone".into())
}

pub(crate) fn busybox_layer() -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let busybox = fs::read("/bin/busybox")?;
    let mut header = tar::Header::new_ustar();
    header.set_size(busybox.len() as u64);
    header.set_mode(0o6755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    tar.append_data(&mut header, "bin/busybox", &busybox[..])?;
    header.set_size(0);
    tar.append_data(&mut header, "opaque/old", &b""[..])?;
    for name in
        ["cat", "dd", "env", "grep", "head", "id", "ifconfig", "ls", "mount", "sleep", "tail", "unshare"]
    {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox")?;
    }
    tar.into_inner()
}

/// Fails with the text when the condition does not hold.
pub(crate) fn require(holds: bool, text: impl std::fmt::Display) -> Outcome {
    if holds { Ok(()) } else { Err(text.to_string().into()) }
}
