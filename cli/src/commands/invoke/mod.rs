//! `zipship invoke`: one request to a function, as its answer comes: of a server (`NAME`), or in a directory, through
//! the real shim (`--local DIR`).

mod deployed;
mod local;

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use clap::Args;
use contract::event::X_ZIPSHIP_ERROR;
use http::{HeaderMap, Method, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::api::Access;
use crate::local::arguments::LocalArguments;
use crate::local::event::{self, Call};
use crate::local::usage;

const EXIT_CODES: &str = "Exit codes:
  0   the handler answered, whatever the status
  1   the function failed: it threw, gave no answer in time, died, could not be loaded or compiled, or answered what
      HTTP can't carry; also when the shim could not be run. Of a deployed function: any status of 500 or more, or
      there was nothing to ask
  64  wrong arguments or files
  130 interrupted";

/// What says how a handler runs is not said of one that is deployed.
const LOCAL_ONLY: [&str; 13] = [
    "local",
    "runtime",
    "handler",
    "functions",
    "environment",
    "environment_files",
    "private",
    "timeout",
    "memory",
    "max_concurrency",
    "interpreter",
    "shim",
    "workers",
];

/// Arguments of `invoke`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Invoke {
    /// A deployed function or container, by name or id. For a private one a token is issued.
    #[arg(value_name = "NAME_OR_ID", required_unless_present = "local", conflicts_with_all = LOCAL_ONLY)]
    name: Option<String>,
    /// The namespace in which the name is looked for.
    #[arg(long, short = 'n', value_name = "NAMESPACE", requires = "name")]
    namespace: Option<String>,
    #[command(flatten)]
    access: Access,
    /// A handler's directory on this machine, in place of a deployed function.
    #[arg(long, value_name = "DIR")]
    local: Option<PathBuf>,
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

/// What came of it.
struct Outcome {
    status: u16,
    headers: HeaderMap,
    /// Empty when it was printed as it came.
    body: Bytes,
    /// The shim's own word for what went wrong.
    error: Option<String>,
    /// Of a shim that was started for it.
    start: Option<Duration>,
    answer: Duration,
}

/// Runs one request.
pub(crate) fn run(arguments: &Invoke) -> anyhow::Result<ExitCode> {
    match (&arguments.name, &arguments.local) {
        (Some(name), _) => arguments.run_deployed(name),
        (None, Some(directory)) => arguments.run_local(directory),
        (None, None) => usage("name a deployed function, or a directory with --local"),
    }
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

    /// Reads the answer, printing its body as it comes.
    async fn take<B>(
        &self,
        response: Response<B>,
        start: Option<Duration>,
        begin: Instant,
    ) -> anyhow::Result<Outcome>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
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
        let (status, answer) = (head.status.as_u16(), begin.elapsed() - start.unwrap_or_default());
        Ok(Outcome { status, headers, body: kept.freeze(), error, start, answer })
    }

    fn report(&self, outcome: &Outcome, logs: Vec<Value>) -> anyhow::Result<()> {
        let ms = |duration: Duration| (duration.as_secs_f64() * 10_000.0).round() / 10.0;
        if !self.json {
            let error = outcome.error.as_ref().map(|error| format!(", {error}")).unwrap_or_default();
            let start =
                outcome.start.map(|start| format!("started in {} ms, ", ms(start))).unwrap_or_default();
            eprintln!("status {}{error}; {start}answered in {} ms", outcome.status, ms(outcome.answer));
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
            "start_ms": outcome.start.map(ms),
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
