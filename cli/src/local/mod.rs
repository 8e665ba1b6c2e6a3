//! Functions on the user's own machine, from a directory, with the shim and the worker programs of the
//! containers: what `zipship invoke --local` and `zipship dev` share.
//!
//! [`arguments`] and [`serverless`] say which [`function::Function`]s there are, [`plan`] makes of one what
//! is started, [`instance`] starts it once. What only the server of `zipship dev` needs is in [`dev`].

pub(crate) mod arguments;
pub(crate) mod call;
pub(crate) mod dev;
pub(crate) mod environment;
pub(crate) mod event;
pub(crate) mod function;
mod golang;
pub(crate) mod identity;
pub(crate) mod instance;
mod interpreter;
pub(crate) mod logs;
pub(crate) mod plan;
pub(crate) mod process;
mod python;
pub(crate) mod runtime;
mod serverless;

/// The arguments, or the files that they name, are wrong: exit code 64 (`EX_USAGE`).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Exit code of [`Usage`].
pub(crate) const EXIT_USAGE: u8 = 64;

/// A [`Usage`] as the error of a function.
pub(crate) fn usage<T>(message: impl Into<String>) -> anyhow::Result<T> {
    Err(Usage(message.into()).into())
}

/// The interpreter of a function, and what the user should know of it.
pub(crate) fn interpreter_of(
    function: &function::Function,
    arguments: &arguments::LocalArguments,
) -> anyhow::Result<(interpreter::Interpreter, Option<String>)> {
    interpreter::find(&function.runtime, arguments.interpreter.as_deref())
}

/// A folder for sockets and compiled programs, gone when dropped. The path of a socket is short, so a long one for
/// temporary files is not taken.
pub(crate) fn room() -> std::io::Result<tempfile::TempDir> {
    const LONGEST: usize = 70;
    let folder = std::env::temp_dir();
    let folder = if folder.as_os_str().len() > LONGEST { "/tmp".into() } else { folder };
    tempfile::Builder::new().prefix("zipship-").tempdir_in(folder)
}
