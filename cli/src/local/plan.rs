//! What is started for a function: the shim's command line, its base's variables, its configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::environment as name;
use contract::instance::Control;
use contract::runtime::{Handler, Language};

use super::function::Function;
use super::golang;
use super::identity::Namespace;
use super::interpreter::Interpreter;
use super::python;

/// Variables of this process that go on to the function: where things are, and nothing secret.
const PASSED_ON: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "XDG_CACHE_HOME",
    "SCW_LOG_LEVEL",
];

/// The programs of the containers.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) shim: PathBuf,
    /// Folder with one folder per language.
    pub(crate) workers: PathBuf,
}

/// One start, which can be repeated.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The shim and its arguments.
    pub(crate) command: Vec<OsString>,
    pub(crate) directory: PathBuf,
    /// What a base image would set.
    pub(crate) base: BTreeMap<String, String>,
    pub(crate) control: Control,
    /// The shim talks to the handler over a port of this machine, which has to be a free one.
    pub(crate) needs_port: bool,
}

/// What is the same for every start of a function.
pub(crate) struct Setting<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) interpreter: &'a Interpreter,
    pub(crate) namespace: &'a Namespace,
}

/// A function's files, ready to be started: compiled where they have to be.
#[derive(Debug, Default)]
pub(crate) struct Compiled(Option<Vec<u8>>);

/// Compiles a Go function; others are ready as they are. Blocks; the error is for the function's author.
pub(crate) fn compile(function: &Function, interpreter: &Interpreter) -> Result<Compiled, String> {
    let Ok(Handler::Package { path }) = Handler::parse(function.language(), &function.handler) else {
        return Ok(Compiled(None));
    };
    golang::compile(&function.directory, &path, interpreter).map(|program| Compiled(Some(program)))
}

/// Makes the plan. A compiled program is written below `room`; `version` counts the starts.
pub(crate) fn plan(
    function: &Function,
    setting: &Setting<'_>,
    compiled: &Compiled,
    version: u64,
    room: &Path,
) -> anyhow::Result<Plan> {
    let mut command: Vec<OsString> =
        vec![(&setting.programs.shim).into(), "--code".into(), (&function.directory).into()];
    if let Some(program) = &compiled.0 {
        let path = room.join(format!("{}-{version}", function.name));
        write_program(&path, program).with_context(|| format!("writing {}", path.display()))?;
        command.extend(["--handler".into(), path.into()]);
    }
    let mut environment = function.environment.read()?;
    environment.extend(configuration(function, setting.namespace, version));
    Ok(Plan {
        command,
        directory: function.directory.clone(),
        base: base(function.language(), setting)?,
        control: Control { environment },
        needs_port: compiled.0.is_some(),
    })
}

/// Nobody may run a file that is open for writing, so it is closed when this is done.
fn write_program(path: &Path, program: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path)?;
    file.write_all(program)
}

/// The platform's variables, as the server sets them.
fn configuration(
    function: &Function,
    namespace: &Namespace,
    version: u64,
) -> impl Iterator<Item = (String, String)> {
    let concurrency = function.max_concurrency.map(|most| (name::SCW_MAX_CONCURRENCY, most.to_string()));
    let key = namespace.public_key().filter(|_| function.private);
    let key = key.map(|key| (name::SCW_PUBLIC_KEY, key.to_owned()));
    let all = [
        (name::SCW_PUBLIC, (!function.private).to_string()),
        (name::SCW_NAMESPACE_ID, namespace.id.clone()),
        (name::SCW_APPLICATION_ID, function.application_id.clone()),
        (name::SCW_HANDLER, function.handler.clone()),
        (name::SCW_APPLICATION_NAME, function.name.clone()),
        (name::SCW_APPLICATION_MEMORY, function.memory_mb.to_string()),
        (name::SCW_APPLICATION_VERSION, version.to_string()),
        (name::SCW_TIMEOUT_MS, function.timeout.as_millis().to_string()),
    ];
    all.into_iter().chain(concurrency).chain(key).map(|(name, value)| (name.to_owned(), value))
}

fn base(language: Language, setting: &Setting<'_>) -> anyhow::Result<BTreeMap<String, String>> {
    let passed = PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let mut base: BTreeMap<String, String> = passed.collect();
    base.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
    // Nothing is written into the user's directory, as nothing can be in a container.
    base.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
    base.insert(name::ZIPSHIP_LANGUAGE.to_owned(), language.name().to_owned());
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is not UTF-8");
    let interpreter = text(&setting.interpreter.path)?;
    let workers = &setting.programs.workers;
    let command = match language {
        Language::Node => vec![interpreter, text(&workers.join("node/worker.js"))?],
        Language::Python => {
            let program = python::compiled(&workers.join("python"), setting.interpreter).join("worker.py");
            vec![interpreter, "-u".to_owned(), text(&program)?]
        }
        Language::Golang => return Ok(base),
    };
    base.insert(name::ZIPSHIP_WORKER.to_owned(), serde_json::to_string(&command)?);
    Ok(base)
}
