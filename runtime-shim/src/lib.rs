//! `zipship-shim`: the first process of a function container. It starts the language's worker, turns requests
//! into events for the handler and its answers into responses, and drains at SIGTERM.
//!
//! Command line: `zipship-shim [--code DIRECTORY] [--handler PROGRAM]`, for images whose code lies elsewhere
//! than in `/home/app/function`. Everything else is told by the environment and the control descriptor.

mod config;
#[doc(hidden)]
pub mod fuzz;
mod golang;
mod init;
mod metrics;
mod request;
mod serve;
mod worker;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use contract::environment as name;
use contract::instance::{Control, ReadyLine};

use crate::config::{Config, Defaults};
use crate::init::drain::{Drained, End};
use crate::init::logs::{Level, Logs};
use crate::init::reap::Reaper;
use crate::init::signals::{self, Stop};
use crate::metrics::Metrics;
use crate::request::Shim;
use crate::request::slots::Slots;
use crate::request::token::Guard;
use crate::serve::Listener;
use crate::worker::{Launcher, Verdict, Worker};

/// The configuration is wrong (`EX_USAGE`).
const EXIT_CONFIGURATION: u8 = 64;
/// Ended by a signal: this and its number, as shells have it.
const EXIT_SIGNAL: u8 = 128;

/// The whole life of the process, from the environment to the exit code.
#[must_use]
pub fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err((code, message)) => {
            // Nowhere else to say it: the log descriptor is part of what may be wrong.
            let _ = writeln!(io::stderr(), "zipship-shim: {message}");
            ExitCode::from(code)
        }
    }
}

fn start() -> Result<ExitCode, (u8, String)> {
    let process_started = Instant::now();
    init::spawn::keep_memory();
    let machine = |error: io::Error| (1, error.to_string());
    init::spawn::seal().map_err(machine)?;
    init::limit::raise();
    let config = configure().map_err(|problem| (EXIT_CONFIGURATION, problem))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(machine)?;
    runtime.block_on(run(config, process_started)).map_err(|error| (1, error))
}

/// The environment, then the control document over it.
fn configure() -> Result<Config, String> {
    let mut environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Some(number) = environment.get(name::ZIPSHIP_CONTROL_FD) {
        let unreadable = |why: String| format!("{} is {number:?}: {why}", name::ZIPSHIP_CONTROL_FD);
        let descriptor = number.parse().map_err(|_| unreadable("it must be a descriptor".into()))?;
        let mut file =
            std::fs::File::from(init::spawn::inherit(descriptor).map_err(|e| unreadable(e.to_string()))?);
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|e| unreadable(e.to_string()))?;
        let control: Control = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
        environment.extend(control.environment);
    }
    let defaults = command_line(std::env::args().skip(1))?;
    Config::from_environment(&environment, defaults).map_err(|problems| problems.to_string())
}

fn command_line(mut arguments: impl Iterator<Item = String>) -> Result<Defaults, String> {
    let mut defaults =
        Defaults { code_directory: name::CODE_DIRECTORY.into(), go_handler: name::GO_HANDLER_PATH.into() };
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
        let path = match option.as_str() {
            "--code" => &mut defaults.code_directory,
            "--handler" => &mut defaults.go_handler,
            _ => return Err(format!("unknown option {option}; known are --code and --handler")),
        };
        // Workers run in the code's directory: what is relative is so to where the shim was started.
        *path = PathBuf::from(&value);
        if path.is_relative() {
            let here = std::env::current_dir();
            *path = here.map_err(|error| format!("{option} {value:?}: {error}"))?.join(&*path);
        }
    }
    Ok(defaults)
}

/// The life of the process: announce, serve, drain.
async fn run(config: Config, process_started: Instant) -> Result<ExitCode, String> {
    let descriptor = |number: Option<i32>, what: &str| {
        number.map(init::spawn::inherit).transpose().map_err(|error| format!("{what}: {error}"))
    };
    let logs = Logs::start(descriptor(config.log_fd, name::ZIPSHIP_LOG_FD)?, config.log_level);
    let ready = descriptor(config.ready_fd, name::ZIPSHIP_READY_FD)?;
    let failed = |error: io::Error| format!("signals: {error}");
    let mut stop = Stop::listen().map_err(failed)?;
    let reaper = Reaper::start().map_err(failed)?;
    signals::forward(reaper.clone()).map_err(failed)?;
    let listener = Listener::open(config.listen).map_err(|error| format!("listening: {error}"))?;
    let metrics = Metrics::new(process_started);
    let metrics_port = config.metrics_port.map(metrics::Port::open).transpose();
    let metrics_port = metrics_port.map_err(|error| format!("{}: {error}", name::SCW_METRICS_PORT))?;
    let (worker, verdict) = Worker::launch(launcher(&config, reaper), logs.clone());
    // Cancellation: told to stop before the worker was up, there is nothing to drain.
    let verdict = tokio::select! {
        verdict = verdict => verdict.unwrap_or(Verdict::Broken("the worker was never started".into())),
        _ = stop.next() => {
            worker.stop().await;
            logs.flush().await;
            return Ok(ExitCode::SUCCESS);
        }
    };
    metrics.started();
    let at_once = announce(&config, &verdict, ready, &logs);
    let shim = Arc::new(Shim {
        limits: config.limits,
        slots: Slots::new(at_once, config.queue.unwrap_or(at_once as usize), config.limits.timeout),
        guard: Guard::new(config.access),
        trusted_proxies: config.trusted_proxies,
        end: End::default(),
        worker: worker.clone(),
        logs: logs.clone(),
        metrics,
    });
    if let Some(port) = metrics_port {
        tokio::spawn(metrics::serve(port, shim.clone()));
    }
    let connections = serve::serve(shim.clone(), listener, config.listen, &mut stop).await;
    let drained = init::drain::drain(connections, &shim.end, &worker, &logs, &mut stop, config.grace).await;
    logs.flush().await;
    Ok(match drained {
        Drained::Stopped => ExitCode::SUCCESS,
        Drained::AtOnce(number) => ExitCode::from(EXIT_SIGNAL.saturating_add(number)),
    })
}

fn launcher(config: &Config, reaper: Reaper) -> Launcher {
    Launcher {
        language: config.language,
        command: config.command.clone(),
        code_directory: config.code_directory.clone(),
        environment: config.worker_environment.clone(),
        function: config.function.clone(),
        max_concurrency: config.max_concurrency,
        timeout: config.limits.timeout,
        upstream_port: config.upstream_port,
        reaper,
    }
}

/// Writes the ready line where one is wanted. Answers the concurrency; a broken function refuses many at once.
fn announce(config: &Config, verdict: &Verdict, ready: Option<std::os::fd::OwnedFd>, logs: &Logs) -> u32 {
    let default = config.max_concurrency.unwrap_or(config.language.default_concurrency());
    let line = match verdict {
        Verdict::Ready(at_once) => ReadyLine { ready: true, max_concurrency: *at_once, error: None },
        Verdict::Broken(why) => {
            ReadyLine { ready: false, max_concurrency: default, error: Some(why.clone()) }
        }
    };
    logs.platform(Level::Debug, if line.ready { "ready" } else { "not ready" });
    if let (Some(descriptor), Ok(mut json)) = (ready, serde_json::to_vec(&line)) {
        json.push(b'\n');
        if let Err(error) = std::fs::File::from(descriptor).write_all(&json) {
            logs.platform(Level::Warn, &format!("the ready line was not read: {error}"));
        }
    }
    line.max_concurrency
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Defaults, String> {
        command_line(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn paths_are_relative_to_where_the_shim_was_started() {
        let here = std::env::current_dir().expect("a directory");
        let read = read(&["--code", "functions/a", "--handler", "bin/handler"]).expect("read");
        assert_eq!(read.code_directory, here.join("functions/a"));
        assert_eq!(read.go_handler, here.join("bin/handler"));
    }

    #[test]
    fn options_that_say_nothing_are_refused_by_name() {
        for (arguments, named) in
            [(&["--code"][..], "--code needs a value"), (&["--cod", "x"], "unknown option --cod")]
        {
            let refusal = read(arguments).err().unwrap_or_default();
            assert!(refusal.contains(named), "{refusal}");
        }
    }
}
