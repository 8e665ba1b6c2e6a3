//! A shim with a handler, on an inherited socket as the platform starts it, or on a port of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Seek, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{net::UnixListener, net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use contract::instance::{Control, ReadyLine};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http::{self, Answer, LIMIT};

/// The language of a handler, with the file it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Node,
    Python,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::Node, Self::Python];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Node => "handler.js",
            Self::Python => "handler.py",
        }
    }

    pub(crate) fn worker(self) -> String {
        let workers = format!("{}/workers", env!("CARGO_MANIFEST_DIR"));
        let command = match self {
            Self::Node => {
                let node = std::env::var("ZIPSHIP_TEST_NODE").unwrap_or_else(|_| "node".to_owned());
                vec![which(&node), format!("{workers}/node/worker.js")]
            }
            Self::Python => vec![which("python3"), "-u".to_owned(), format!("{workers}/python/worker.py")],
        };
        serde_json::to_string(&command).unwrap()
    }
}

fn which(program: &str) -> String {
    if program.contains('/') {
        return program.to_owned();
    }
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    found
        .unwrap_or_else(|| panic!("{program} is not installed; scripts/setup test does it"))
        .display()
        .to_string()
}

/// What is to be started.
pub(crate) struct Plan {
    pub(crate) folder: TempDir,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Plan {
    pub(crate) fn new(language: Language, code: &str) -> Self {
        let plan = Self::bare();
        fs::write(plan.folder.path().join(language.file()), code).unwrap();
        plan.with("ZIPSHIP_LANGUAGE", language.name())
            .with("ZIPSHIP_WORKER", &language.worker())
            .with("SCW_HANDLER", "handler.handle")
            .with("SCW_PUBLIC", "true")
    }

    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let code = folder.path().display().to_string();
        Self { folder, environment: Vec::new(), arguments: vec!["--code".to_owned(), code] }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zipship-shim"));
        command.args(&self.arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    /// As `docker run` starts it: configuration in the environment, a port of its own, raw output.
    pub(crate) fn on_port(self) -> Shim {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let output = tempfile::tempfile().unwrap();
        let mut command = self.command();
        command.envs(self.environment.iter().cloned()).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
        let child = command.spawn().unwrap();
        Shim { child, address: Address::Port(port), ready: None, output, _folder: self.folder }
    }

    /// As the platform starts it: an inherited Unix socket, ready line, log records, control document.
    pub(crate) fn inherited(self) -> Shim {
        let socket = self.folder.path().join("listen.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        self.inherit(listener.into(), Address::Unix(socket))
    }

    /// The same with an inherited TCP socket.
    pub(crate) fn inherited_tcp(self) -> Shim {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        self.inherit(listener.into(), Address::Port(port))
    }

    fn inherit(self, listener: OwnedFd, address: Address) -> Shim {
        let (ready, ready_writer) = rustix::pipe::pipe().unwrap();
        let output = tempfile::tempfile().unwrap();
        let mut control = tempfile::tempfile().unwrap();
        let environment = self.environment.iter().cloned().collect();
        serde_json::to_writer(&mut control, &Control { environment }).unwrap();
        control.rewind().unwrap();
        let fds: Vec<OwnedFd> =
            vec![listener, ready_writer, output.try_clone().unwrap().into(), control.into()];
        let mut command = self.command();
        let names = ["ZIPSHIP_LISTEN_FD", "ZIPSHIP_READY_FD", "ZIPSHIP_LOG_FD", "ZIPSHIP_CONTROL_FD"];
        command.envs(names.iter().zip(3..).map(|(name, number): (_, i32)| (name, number.to_string())));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        hand_over(&mut command, &fds);
        let child = command.spawn().unwrap();
        drop(fds);
        Shim { child, address, ready: Some(File::from(ready)), output, _folder: self.folder }
    }
}

/// The child's descriptors from 3 on are these.
#[allow(unsafe_code)]
fn hand_over(command: &mut Command, fds: &[OwnedFd]) {
    let numbers: Vec<i32> = fds.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
    // SAFETY: between fork and exec only dup3 and fcntl are called, which are async-signal-safe; the vector was
    // allocated before.
    unsafe {
        command.pre_exec(move || {
            // First out of the way, so that no target number is still a source.
            let mut high = [0; 4];
            for (at, number) in numbers.iter().enumerate() {
                high[at] = libc::fcntl(*number, libc::F_DUPFD_CLOEXEC, 100);
            }
            for (at, number) in high.iter().take(numbers.len()).enumerate() {
                if libc::dup2(*number, 3 + i32::try_from(at).unwrap_or(0)) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

enum Address {
    Port(u16),
    Unix(PathBuf),
}

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A running shim; killed when dropped.
pub(crate) struct Shim {
    child: Child,
    address: Address,
    ready: Option<File>,
    output: File,
    _folder: TempDir,
}

impl Shim {
    /// Waits for the ready line.
    pub(crate) fn ready(&mut self) -> ReadyLine {
        let mut line = String::new();
        BufReader::new(self.ready.take().expect("read once")).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}; {}", self.output()))
    }

    pub(crate) fn connect(&self) -> Box<dyn Stream> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let stream: std::io::Result<Box<dyn Stream>> = match &self.address {
                Address::Unix(path) => UnixStream::connect(path).and_then(|stream| {
                    stream.set_read_timeout(Some(LIMIT))?;
                    Ok(Box::new(stream) as _)
                }),
                Address::Port(port) => TcpStream::connect(("127.0.0.1", *port)).and_then(|stream| {
                    stream.set_read_timeout(Some(LIMIT))?;
                    Ok(Box::new(stream) as _)
                }),
            };
            match stream {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}; {}", self.output()),
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http::send(self.connect(), &http::request(method, path, headers, body), body)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; {}", self.output());
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Everything it has said: raw output, or log records.
    pub(crate) fn output(&self) -> String {
        let mut file = self.output.try_clone().unwrap();
        // The descriptor is shared with the writer: look without moving.
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
        let _ = file.flush();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
