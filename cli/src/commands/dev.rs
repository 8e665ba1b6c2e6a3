//! `zipship dev [DIR]`: serves the functions of a directory and reloads them when their files change.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::local::arguments::LocalArguments;
use crate::local::dev::report::Reporter;
use crate::local::dev::{self, Ignored, Setup, adopt_orphans, end_children};
use crate::local::identity::Namespace;
use crate::local::{self, interpreter_of};

/// How many ports after a taken one are tried for the hint.
const TRIED: u16 = 50;

const EXIT_CODES: &str =
    "Exit codes: 0 ended as told, 1 it could not run (a port that is taken), 64 wrong arguments or files.";

/// Arguments of `dev`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Dev {
    /// The directory; with a serverless.yml each of its functions is served below /<name>.
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, short = 'p', default_value_t = 8080)]
    port: u16,
    #[command(flatten)]
    what: LocalArguments,
    /// Files that reload nothing: a name, a path, *.ending or beginning*; repeatable.
    #[arg(long, value_name = "PATTERN")]
    ignore: Vec<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Serves until told to stop.
pub(crate) fn run(arguments: &Dev) -> anyhow::Result<ExitCode> {
    let chosen = arguments.what.functions(&arguments.directory)?;
    let programs = arguments.what.programs()?;
    chosen.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let mut interpreters = Vec::new();
    for function in &chosen.functions {
        let (interpreter, warning) = interpreter_of(function, &arguments.what)?;
        warning.iter().for_each(|warning| eprintln!("warning: {}: {warning}", function.name));
        interpreters.push(interpreter);
    }
    let socket = bind(arguments.port)?;
    let room = local::room()?;
    adopt_orphans().context("adopting orphans")?;
    let reporter = if arguments.json { Reporter::json() } else { Reporter::pretty(&programs.workers) };
    let setup = Setup {
        namespace: Namespace::new(chosen.functions.iter().any(|function| function.private))?,
        chosen,
        interpreters,
        programs,
        ignored: Ignored::new(arguments.ignore.clone()),
        reporter,
        room: room.path().to_owned(),
    };
    // One thread: a shim dies with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(dev::serve(setup, socket));
    end_children();
    // A compiler that was killed a line above lets its thread go.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served.map(|()| ExitCode::SUCCESS)
}

fn bind(port: u16) -> anyhow::Result<TcpListener> {
    let taken = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => return Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => port,
        Err(error) => return Err(error).with_context(|| format!("listening on 127.0.0.1:{port}")),
    };
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let free = (taken.saturating_add(1)..=taken.saturating_add(TRIED)).find(is_free).unwrap_or(0);
    bail!(
        "port {taken} is in use by another program; end that one, or take another port: zipship dev --port {free}"
    )
}
