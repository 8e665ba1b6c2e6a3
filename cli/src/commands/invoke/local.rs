//! `zipship invoke --local DIR`: the shim is started for one request.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contract::instance::LogStream;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::{Invoke, Outcome};
use crate::local::event::{self, Call};
use crate::local::function::Function;
use crate::local::identity::{self, Namespace};
use crate::local::instance::{self, read_ready};
use crate::local::logs::{Line, follow};
use crate::local::plan::{Plan, Setting, compile, plan};
use crate::local::{self, process, usage};

/// How long the shim may take to end.
const STOP: Duration = Duration::from_secs(3);

/// As shells have it: 128 and the number of SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Told to stop before there was an answer.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

impl Invoke {
    /// Runs one request through a shim of its own.
    pub(super) fn run_local(&self, directory: &Path) -> anyhow::Result<ExitCode> {
        let chosen = self.what.functions(directory)?;
        chosen.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let [function] = chosen.functions.as_slice() else {
            let names: Vec<&str> = chosen.functions.iter().map(|function| function.name.as_str()).collect();
            return usage(format!("serverless.yml has {}: say which one with --function", names.join(", ")));
        };
        let mut call = self.call()?;
        let programs = self.what.programs()?;
        let (interpreter, warning) = local::interpreter_of(function, &self.what)?;
        if let Some(file) = &function.detected {
            let with = format!("{} {}", function.language(), interpreter.version);
            eprintln!("{with}, because of {file}");
        }
        warning.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let namespace = Namespace::new(function.private)?;
        if function.private {
            let token = namespace.token(&function.application_id)?;
            eprintln!("private: the request carries a token with {}", identity::claims(&token));
            event::add_header(&mut call.headers, "scw-functions-token", &token)
                .map_err(anyhow::Error::msg)?;
        }
        let room = local::room()?;
        let compiled = match compile(function, &interpreter) {
            Ok(compiled) => compiled,
            Err(why) => {
                eprintln!("{why}");
                return Ok(ExitCode::FAILURE);
            }
        };
        let setting = Setting { programs: &programs, interpreter: &interpreter, namespace: &namespace };
        let plan = plan(function, &setting, &compiled, 1, room.path())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (outcome, logs) = match runtime.block_on(self.exchange(function, &plan, call, room.path())) {
            Err(error) if error.is::<Interrupted>() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
            exchanged => exchanged?,
        };
        self.report(&outcome, logs)?;
        let failed = outcome.error.is_some() && outcome.status >= 500;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Start, request, answer, end. Whatever happens, the shim has ended when this resolves.
    async fn exchange(
        &self,
        function: &Function,
        plan: &Plan,
        call: Call,
        room: &Path,
    ) -> anyhow::Result<(Outcome, Vec<Value>)> {
        let begin = Instant::now();
        let started = instance::start(plan, room.join("shim.sock")).context("starting the shim")?;
        let (said, logs) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (sink, raw, quiet) = (logs.clone(), said.clone(), self.json);
        let following = tokio::spawn(follow(started.log, move |line| match line {
            Line::Raw(text) => raw.lock().unwrap_or_else(PoisonError::into_inner).push(text),
            Line::Record(record) if quiet => {
                let value = json!({ "stream": record.stream, "line": record.line });
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(value);
            }
            Line::Record(record) => match record.stream {
                LogStream::Platform => eprintln!("zipship-shim: {}", record.line),
                LogStream::Stdout | LogStream::Stderr => eprintln!("{}", record.line),
            },
        }));
        let socket = started.socket;
        let flow = async {
            let ready = read_ready(started.ready).await;
            let start = begin.elapsed();
            if ready.is_none() {
                return Ok(None);
            }
            let prefix = format!("/f/{}", function.application_id);
            let response = local::call::send(&socket, call, &prefix).await?;
            self.take(response, Some(start), begin).await.map(Some)
        };
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Cancellation: the request is cut off, and the shim is stopped below.
        let outcome = tokio::select! {
            outcome = flow => outcome,
            _ = interrupt.recv() => Err(Interrupted.into()),
            _ = terminate.recv() => Err(Interrupted.into()),
        };
        let status = {
            started.process.stop(STOP).await;
            started.process.ended().await
        };
        let _ = following.await;
        let logs = std::mem::take(&mut *logs.lock().unwrap_or_else(PoisonError::into_inner));
        match outcome? {
            Some(outcome) => Ok((outcome, logs)),
            None => {
                let said = said.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
                let words = if said.is_empty() { process::words(status) } else { said };
                anyhow::bail!("the shim did not start: {words}")
            }
        }
    }
}
