//! `zipship invoke --local DIR`: one request to a handler in a directory, through the real shim.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use clap::Args;
use contract::event::X_ZIPSHIP_ERROR;
use contract::instance::LogStream;
use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::local::arguments::LocalArguments;
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

const EXIT_CODES: &str = "Exit codes:
  0   the handler answered, whatever the status
  1   the function failed: it threw, gave no answer in time, died, could not be loaded or compiled, or answered what
      HTTP can't carry; also when the shim could not be run
  64  wrong arguments or files
  130 interrupted";

/// Arguments of `invoke`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Invoke {
    /// The handler's directory.
    #[arg(long, value_name = "DIR", required = true)]
    local: PathBuf,
    #[command(flatten)]
    what: LocalArguments,
    /// An event file, - for standard input: an API Gateway event becomes its request, other JSON the body of POST /.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "method", "path", "header", "body"])]
    event: Option<PathBuf>,
    /// The same, given here.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["method", "path", "header", "body"])]
    data: Option<String>,
    /// The request's method [default: GET, with a body POST].
    #[arg(long, short = 'X', value_name = "METHOD")]
    method: Option<String>,
    /// Its path and query.
    #[arg(long, default_value = "/", value_name = "PATH")]
    path: String,
    /// A header; repeatable.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Its body; @FILE reads one, @- standard input.
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// Print status and headers before the body.
    #[arg(long, short = 'i')]
    include: bool,
    /// Print one JSON object: status, headers, body, times and the function's output.
    #[arg(long)]
    json: bool,
}

/// Told to stop before there was an answer.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// What came of it.
struct Outcome {
    status: u16,
    headers: HeaderMap,
    /// Empty when it was printed as it came.
    body: Bytes,
    /// The shim's own word for what went wrong.
    error: Option<String>,
    start: Duration,
    answer: Duration,
}

/// Runs one request.
pub(crate) fn run(arguments: &Invoke) -> anyhow::Result<ExitCode> {
    let chosen = arguments.what.functions(&arguments.local)?;
    chosen.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let [function] = chosen.functions.as_slice() else {
        let names: Vec<&str> = chosen.functions.iter().map(|function| function.name.as_str()).collect();
        return usage(format!("serverless.yml has {}: say which one with --function", names.join(", ")));
    };
    let mut call = arguments.call()?;
    let programs = arguments.what.programs()?;
    let (interpreter, warning) = local::interpreter_of(function, &arguments.what)?;
    if let Some(file) = &function.detected {
        let with = format!("{} {}", function.language(), interpreter.version);
        eprintln!("{with}, because of {file}");
    }
    warning.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let namespace = Namespace::new(function.private)?;
    if function.private {
        let token = namespace.token(&function.application_id)?;
        eprintln!("private: the request carries a token with {}", identity::claims(&token));
        event::add_header(&mut call.headers, "scw-functions-token", &token).map_err(anyhow::Error::msg)?;
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
    let (outcome, logs) = match runtime.block_on(arguments.exchange(function, &plan, call, room.path())) {
        Err(error) if error.is::<Interrupted>() => return Ok(ExitCode::from(EXIT_INTERRUPTED)),
        exchanged => exchanged?,
    };
    arguments.report(&outcome, logs)?;
    let failed = outcome.error.is_some() && outcome.status >= 500;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Invoke {
    fn call(&self) -> anyhow::Result<Call> {
        let event = match (&self.event, &self.data) {
            (Some(file), _) => Some(read_file(file, "--event")?),
            (None, Some(data)) => Some(data.as_bytes().to_vec()),
            (None, None) => None,
        };
        let Some(event) = event else { return self.request() };
        match event::call(&event) {
            Ok((call, told)) => {
                told.iter().for_each(|told| eprintln!("{told}"));
                Ok(call)
            }
            Err(problem) => usage(problem),
        }
    }

    fn request(&self) -> anyhow::Result<Call> {
        let body = match self.body.as_deref().map(|body| (body, body.strip_prefix('@'))) {
            None => None,
            Some((_, Some(file))) => Some(read_file(Path::new(file), "--body")?),
            Some((text, None)) => Some(text.as_bytes().to_vec()),
        };
        let default = if body.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(default);
        let Ok(method) = Method::from_bytes(method.as_bytes()) else {
            return usage(format!("--method: {method:?} is no HTTP method"));
        };
        if !self.path.starts_with('/') {
            return usage(format!("--path: {:?} does not start with /", self.path));
        }
        let mut call = Call::new(method, self.path.clone());
        for header in &self.header {
            let Some((name, value)) = header.split_once(':') else {
                return usage(format!("--header: {header:?} is not \"Name: value\""));
            };
            if let Err(problem) = event::add_header(&mut call.headers, name.trim(), value.trim()) {
                return usage(problem);
            }
        }
        call.body = body.unwrap_or_default().into();
        Ok(call)
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
            self.take(response, start, begin).await.map(Some)
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

    /// Reads the answer, printing its body as it comes.
    async fn take(
        &self,
        response: Response<Incoming>,
        start: Duration,
        begin: Instant,
    ) -> anyhow::Result<Outcome> {
        let (head, mut body) = response.into_parts();
        let mut headers = head.headers;
        let error = headers.remove(X_ZIPSHIP_ERROR);
        let error = error.map(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let mut out = io::stdout();
        if self.include && !self.json {
            writeln!(out, "HTTP/1.1 {}", head.status)?;
            for (name, value) in &headers {
                writeln!(out, "{name}: {}", latin1(value.as_bytes()))?;
            }
            writeln!(out)?;
        }
        let (mut kept, mut last) = (BytesMut::new(), b'\n');
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the answer broke off")?;
            let Ok(data) = frame.into_data() else { continue };
            last = data.last().copied().unwrap_or(last);
            if self.json {
                kept.extend_from_slice(&data);
            } else {
                out.write_all(&data)?;
                out.flush()?;
            }
        }
        if last != b'\n' && !self.json && out.is_terminal() {
            writeln!(out)?;
        }
        let (status, answer) = (head.status.as_u16(), begin.elapsed() - start);
        Ok(Outcome { status, headers, body: kept.freeze(), error, start, answer })
    }

    fn report(&self, outcome: &Outcome, logs: Vec<Value>) -> anyhow::Result<()> {
        let ms = |duration: Duration| (duration.as_secs_f64() * 10_000.0).round() / 10.0;
        if !self.json {
            let error = outcome.error.as_ref().map(|error| format!(", {error}")).unwrap_or_default();
            let (start, answer) = (ms(outcome.start), ms(outcome.answer));
            eprintln!("status {}{error}; started in {start} ms, answered in {answer} ms", outcome.status);
            return Ok(());
        }
        let headers: Vec<_> =
            outcome.headers.iter().map(|(n, v)| json!([n.as_str(), latin1(v.as_bytes())])).collect();
        let text = std::str::from_utf8(&outcome.body);
        let document = json!({
            "status": outcome.status,
            "headers": headers,
            "body": text.map_or_else(|_| STANDARD.encode(&outcome.body), str::to_owned),
            "is_base64_encoded": text.is_err(),
            "error": outcome.error,
            "start_ms": ms(outcome.start),
            "duration_ms": ms(outcome.answer),
            "logs": logs,
        });
        println!("{document}");
        Ok(())
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// A file's bytes; `-` is standard input.
fn read_file(path: &Path, option: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => io::stdin().read_to_end(&mut bytes).map(|_| ()),
        _ => std::fs::read(path).map(|read| bytes = read),
    };
    match read {
        Ok(()) => Ok(bytes),
        Err(error) => usage(format!("{option} {}: {error}", path.display())),
    }
}
