//! A `zipship dev` that runs, with what it says.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Connection, DEADLINE, Project, Response, until};

pub(crate) struct Dev {
    pub(crate) project: Project,
    process: Child,
    address: SocketAddr,
    /// The event `ready`.
    pub(crate) ready: Value,
    events: Events,
}

impl Dev {
    /// On a free port, with JSON output.
    pub(super) fn start(project: Project, arguments: &[&str]) -> Self {
        let mut command = project.dev_command(&["--json", "--port", "0"]);
        let mut process = command
            .args(arguments)
            .env("NOT_FOR_FUNCTIONS", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("zipship runs");
        let events = Events::read(process.stdout.take().expect("a pipe"));
        let ready = events.wait_for("ready", |event| event["event"] == "ready");
        let url = ready["url"].as_str().expect("a URL");
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
        Self { project, process, address: address.expect("an address"), ready, events }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address).expect("a connection")
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.connect().get(path, headers).expect("an answer")
    }

    /// Waits for an event that is so.
    pub(crate) fn event(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.events.wait_for(what, is_so)
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.all()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("a signal");
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("zipship dev has ended", || {
            status = self.process.try_wait().expect("a status");
            status.is_some()
        });
        status.expect("a status")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Events(Arc<(Mutex<Vec<Value>>, Condvar)>);

impl Events {
    fn read(stdout: ChildStdout) -> Self {
        let shared: Arc<(Mutex<Vec<Value>>, Condvar)> = Arc::default();
        let ours = shared.clone();
        let lines = BufReader::new(Box::new(stdout) as Box<dyn Read + Send>).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
                ours.0.lock().expect("events").push(event);
                ours.1.notify_all();
            }
        });
        Self(shared)
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let (events, changed) = &*self.0;
        let waiting = events.lock().expect("events");
        let (events, _) = changed
            .wait_timeout_while(waiting, DEADLINE, |events| !events.iter().any(&is_so))
            .expect("events");
        let found = events.iter().find(|event| is_so(event)).cloned();
        found.unwrap_or_else(|| panic!("no event: {what}, in {events:#?}"))
    }

    fn all(&self) -> Vec<Value> {
        self.0.0.lock().expect("events").clone()
    }
}
