//! The nouns of the tests: a shim that runs, with its descriptors, its log and its requests.

pub(crate) mod http;
mod languages;
mod logs;
#[path = "../../../../tests/settings.rs"]
mod settings;

use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::instance::{Control, LogRecord, ReadyLine};
use rustix::io::FdFlags;
use tempfile::TempDir;

use self::http::{Request, Response};
pub(crate) use self::languages::{Language, go};
use self::logs::LogReader;

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Descriptors are made inheritable for the moment of one spawn: no other child may be started in it.
static SPAWN: Mutex<()> = Mutex::new(());

/// What a shim is started with.
pub(crate) struct Setup {
    language: Language,
    /// Instead of the language's own program.
    program: Option<PathBuf>,
    code: TempDir,
    environment: BTreeMap<String, String>,
    /// Another worker program than the language's.
    worker: Option<String>,
    /// A program that starts the shim, and its arguments.
    wrapper: Vec<String>,
    /// Nobody reads the log.
    log_is_unread: bool,
}

impl Setup {
    /// A public function whose handler file has this source. For Go the source is the program's directory.
    pub(crate) fn new(language: Language, source: &str) -> Self {
        let code = tempfile::tempdir().expect("a directory");
        if let Some(name) = language.handler_file() {
            std::fs::write(code.path().join(name), source).expect("the handler");
        }
        let environment = [("SCW_PUBLIC".to_owned(), "true".to_owned())].into();
        Self {
            language,
            program: None,
            code,
            environment,
            worker: None,
            wrapper: Vec::new(),
            log_is_unread: false,
        }
    }

    /// A worker that does what this script says, frame by frame: `scripted/worker.py` has the words.
    pub(crate) fn scripted(script: &str) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/scripted/worker.py");
        let interpreter = Language::Python.interpreter();
        let command = [interpreter.to_str().expect("text"), "-u", program];
        let worker = Some(serde_json::to_string(&command).expect("JSON"));
        Self { worker, ..Self::new(Language::Python, script) }
    }

    /// With the machine's python, which every user may run.
    pub(crate) fn system_python(mut self) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/workers/python/worker.py");
        self.worker = Some(serde_json::to_string(&["/usr/bin/python3", "-u", program]).expect("JSON"));
        self
    }

    pub(crate) fn with_an_unread_log(self) -> Self {
        Self { log_is_unread: true, ..self }
    }

    /// Started by another program, which executes what follows its arguments.
    pub(crate) fn wrapped(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.code.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// Another Go program than the language's own.
    pub(crate) fn program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    pub(crate) fn link(self, name: &str, target: &Path) -> Self {
        std::os::unix::fs::symlink(target, self.code.path().join(name)).expect("a link");
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    pub(crate) fn started_with_descriptors(self, most: u64) -> Self {
        self.wrapped(&["/bin/sh", "-c", &format!("ulimit -Sn {most} && exec \"$@\""), "sh"])
    }

    pub(crate) fn code(&self) -> &Path {
        self.code.path()
    }

    /// The shim's command line and what the base image sets.
    fn command(&self) -> Command {
        let shim = env!("CARGO_BIN_EXE_zipship-shim");
        let mut command = match self.wrapper.split_first() {
            None => Command::new(shim),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(shim);
                command
            }
        };
        command.arg("--code").arg(self.code.path()).env_clear().stdin(Stdio::null());
        for name in ["PATH", "HOME"] {
            command.env(name, std::env::var(name).unwrap_or_default());
        }
        // The worker programs lie in the source tree here: nothing is to be written beside them.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(self.language.environment().iter().copied());
        command.env("ZIPSHIP_LANGUAGE", self.language.shim_name());
        match self.worker.clone().or_else(|| self.language.worker()) {
            Some(worker) => command.env("ZIPSHIP_WORKER", worker),
            None => {
                command.arg("--handler").arg(self.program.as_ref().unwrap_or_else(|| self.language.program()))
            }
        };
        command
    }

    /// Starts it as the server does: a Unix socket, the ready line, the log and the control document.
    pub(crate) fn start(self) -> Shim {
        let socket = self.code.path().join("shim.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        self.start_on(Address::Unix(socket), listener.into())
    }

    /// The same with an inherited TCP socket.
    pub(crate) fn start_on_tcp(self) -> Shim {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        self.start_on(Address::Tcp(address), listener.into())
    }

    /// The same on a port that the shim binds itself, so nobody is believed.
    pub(crate) fn start_on_port(self) -> Shim {
        let port = self.environment.get("PORT").cloned().unwrap_or_else(free_port);
        let address = format!("127.0.0.1:{port}").parse().expect("an address");
        self.set("PORT", &port).start_with(Address::Tcp(address), None)
    }

    fn start_on(self, address: Address, listener: OwnedFd) -> Shim {
        self.start_with(address, Some(listener))
    }

    fn start_with(self, address: Address, listener: Option<OwnedFd>) -> Shim {
        let (ready, ready_end) = std::io::pipe().expect("a pipe");
        let (log, log_end) = std::io::pipe().expect("a pipe");
        let mut control = tempfile::tempfile().expect("a file");
        serde_json::to_writer(&control, &Control { environment: self.environment.clone() }).expect("written");
        control.rewind().expect("rewound");
        let ours = [
            ("ZIPSHIP_READY_FD", ready_end.into()),
            ("ZIPSHIP_LOG_FD", log_end.into()),
            ("ZIPSHIP_CONTROL_FD", control.into()),
        ];
        let listener = listener.map(|listener| ("ZIPSHIP_LISTEN_FD", listener));
        let descriptors: Vec<(&str, OwnedFd)> = listener.into_iter().chain(ours).collect();
        let inodes = descriptors
            .iter()
            .map(|(_, descriptor)| rustix::fs::fstat(descriptor).expect("a file").st_ino)
            .collect();
        let mut command = self.command();
        for (name, descriptor) in &descriptors {
            command.env(name, descriptor.as_raw_fd().to_string());
        }
        let process = spawn(&mut command, descriptors.iter().map(|(_, d)| d.as_fd()));
        drop(descriptors);
        let log = if self.log_is_unread { LogReader::idle(log) } else { LogReader::start(log) };
        Shim { process, address, ready: line_of(ready), log, inodes, code: self.code }
    }

    /// Starts it as `docker run` does: a port, and its words on standard output and error.
    pub(crate) fn start_plain(self) -> Plain {
        let mut command = self.command();
        command.envs(&self.environment).stdout(Stdio::piped()).stderr(Stdio::piped());
        Plain { process: spawn(&mut command, []), _code: self.code }
    }
}

fn spawn<'a>(command: &mut Command, inherited: impl IntoIterator<Item = BorrowedFd<'a>>) -> Child {
    let _alone = SPAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let inherited: Vec<_> = inherited.into_iter().collect();
    for descriptor in &inherited {
        rustix::io::fcntl_setfd(descriptor, FdFlags::empty()).expect("a flag");
    }
    let child = command.spawn().expect("the shim");
    for descriptor in &inherited {
        rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC).expect("a flag");
    }
    child
}

/// Runs a check for each language, all at the same time: most of it is waiting for interpreters to start.
pub(crate) fn each(languages: Vec<Language>, check: impl Fn(Language) + Sync) {
    std::thread::scope(|scope| {
        for language in languages {
            let check = &check;
            scope.spawn(move || check(language));
        }
    });
}

/// A path that the project's scripts know, such as `ZIPSHIP_CACHE`.
pub(crate) fn setting(name: &str) -> PathBuf {
    let _alone = SPAWN.lock().unwrap_or_else(PoisonError::into_inner);
    settings::setting(name)
}

/// The output of another program of the tests, without our descriptors.
pub(crate) fn output(command: &mut Command) -> std::process::Output {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), []);
    child.wait_with_output().expect("its output")
}

/// A port that nobody uses now; another test may not take it, since each asks the machine.
pub(crate) fn free_port() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port().to_string()
}

fn line_of(mut pipe: std::io::PipeReader) -> ReadyLine {
    let (sender, line) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        drop(pipe.read_to_string(&mut text).map(|_| sender.send(text)));
    });
    let text = line.recv_timeout(DEADLINE).expect("the ready line, and the pipe's end");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("the ready line {text:?}: {error}"))
}

#[derive(Clone)]
pub(crate) enum Address {
    Unix(PathBuf),
    Tcp(std::net::SocketAddr),
}

/// A shim that runs; killed when dropped.
pub(crate) struct Shim {
    process: Child,
    address: Address,
    pub(crate) ready: ReadyLine,
    log: LogReader,
    /// Of the descriptors that it inherited.
    pub(crate) inodes: Vec<u64>,
    code: TempDir,
}

impl Shim {
    pub(crate) fn code(&self) -> &Path {
        self.code.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn socket(&self) -> &Path {
        match &self.address {
            Address::Unix(path) => path,
            Address::Tcp(_) => panic!("a TCP socket"),
        }
    }

    pub(crate) fn port(&self) -> Option<std::net::SocketAddr> {
        match &self.address {
            Address::Unix(_) => None,
            Address::Tcp(address) => Some(*address),
        }
    }

    /// A connection, or `None` when nobody listens any more.
    pub(crate) fn connect(&self) -> Option<http::Connection> {
        match &self.address {
            Address::Unix(path) => UnixStream::connect(path).ok().map(http::Connection::unix),
            Address::Tcp(address) => std::net::TcpStream::connect(address).ok().map(http::Connection::tcp),
        }
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn send(&self, request: Request) -> http::Sent {
        self.connect().expect("a listener").send(request)
    }

    pub(crate) fn call(&self, request: Request) -> Response {
        self.send(request).response()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.call(Request::get(path))
    }

    /// Waits for a log record that has this text.
    pub(crate) fn logged(&self, text: &str) -> LogRecord {
        self.log.wait_for(text)
    }

    /// All log records until now.
    pub(crate) fn all_logged(&self) -> Vec<LogRecord> {
        self.log.all()
    }

    /// How many log records there are so far.
    pub(crate) fn log_length(&self) -> usize {
        self.log.length()
    }

    /// Waits for a log record that has this text, after the first so many: it, or those that there were instead.
    pub(crate) fn logged_after(&self, first: usize, text: &str) -> Result<LogRecord, Vec<LogRecord>> {
        self.log.wait_after(first, text)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).expect("a signal");
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait(&mut self.process)
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A shim without descriptors.
pub(crate) struct Plain {
    process: Child,
    _code: TempDir,
}

impl Plain {
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.process)
    }

    /// Waits for its end: how it ended, standard output, standard error.
    pub(crate) fn ended(mut self) -> (ExitStatus, String, String) {
        let text = |pipe: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut text = String::new();
                pipe.expect("a pipe").read_to_string(&mut text).expect("text");
                text
            })
        };
        let stdout = text(self.process.stdout.take().map(|pipe| Box::new(pipe) as _));
        let stderr = text(self.process.stderr.take().map(|pipe| Box::new(pipe) as _));
        let status = wait(&mut self.process);
        (status, stdout.join().expect("stdout"), stderr.join().expect("stderr"))
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait(process: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the shim has ended", || {
        status = process.try_wait().expect("a status");
        status.is_some()
    });
    status.expect("a status")
}

/// Looks again and again until it is so. For what nobody announces.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "not so within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Makes the file that a handler waits for.
pub(crate) fn release(shim: &Shim) {
    std::fs::File::create(shim.code().join("go")).and_then(|mut file| file.write_all(b"1")).expect("a file");
}
