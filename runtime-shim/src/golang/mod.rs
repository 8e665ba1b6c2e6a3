//! Go handlers, and every other program that speaks one of two interfaces: the Lambda Runtime API, which the
//! shim serves on loopback, or HTTP on a port, which `scaleway-functions-go` serves itself.

mod detect;
pub(crate) mod envelope;
mod http;
mod lambda;

use std::net::{Ipv4Addr, SocketAddr};

pub(crate) use self::http::HttpForm;
pub(crate) use self::lambda::LambdaApi;
use crate::init::logs::Logs;
use crate::worker::process::died_early;
use crate::worker::{Launcher, Link, Running, StartFailure};

/// Invocations at once over the HTTP form.
const HTTP_CONCURRENCY: u32 = 100;
/// The Runtime API gives a process one invocation at a time.
const LAMBDA_CONCURRENCY: u32 = 1;

/// Starts the program with both interfaces offered, and finds out which one it takes.
pub(crate) async fn start(launcher: &Launcher, logs: &Logs) -> Result<Running, StartFailure> {
    let (api, address) = LambdaApi::serve()
        .await
        .map_err(|error| StartFailure::died(format!("no port on loopback for the Runtime API: {error}")))?;
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, launcher.upstream_port));
    let child = launcher.spawn(logs, &environment(launcher, address), None)?;
    // Cancellation: whichever comes first decides.
    let link = tokio::select! {
        failed = detect::first_use(&api, upstream) => failed,
        exit = child.exited() => Err(died_early(exit, logs)),
    };
    match link {
        Ok(detect::Form::Lambda) => Ok(Running::new(Link::Lambda(api), LAMBDA_CONCURRENCY, child)),
        Ok(detect::Form::Http) => {
            let form = HttpForm::new(upstream, launcher.function.clone());
            let max_concurrency = launcher.max_concurrency.unwrap_or(HTTP_CONCURRENCY);
            Ok(Running::new(Link::Http(form), max_concurrency, child))
        }
        Err(failure) => {
            child.kill();
            Err(failure)
        }
    }
}

fn environment(launcher: &Launcher, api: SocketAddr) -> [(&'static str, String); 7] {
    let function = &launcher.function;
    [
        ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", function.version.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("_HANDLER", function.handler.clone()),
        ("LAMBDA_TASK_ROOT", launcher.code_directory.to_string_lossy().into_owned()),
        ("SCW_UPSTREAM_PORT", launcher.upstream_port.to_string()),
    ]
}
