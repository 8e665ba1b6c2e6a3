//! Go handlers, and every other program that speaks one of two interfaces: the Lambda Runtime API, which the
//! shim serves on loopback, or HTTP on a port, which `scaleway-functions-go` serves itself.

mod detect;
pub(crate) mod envelope;
mod exposed;
mod http;
mod lambda;
mod processors;

use std::net::{Ipv4Addr, SocketAddr};

use self::detect::Form;
pub(crate) use self::http::HttpForm;
pub(crate) use self::lambda::LambdaApi;
use crate::init::logs::{Level, Logs};
use crate::worker::process::START_LIMIT;
use crate::worker::{Launcher, Link, Running, StartFailure};

/// Invocations at once over the HTTP form.
const HTTP_CONCURRENCY: u32 = 100;
/// A program that speaks the Runtime API need not be made for more than one invocation at a time.
const LAMBDA_CONCURRENCY: u32 = 1;

/// Starts the program with both interfaces offered, and finds out which one it takes.
pub(crate) async fn start(launcher: &Launcher, logs: &Logs) -> Result<Running, StartFailure> {
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, launcher.upstream_port));
    detect::is_free(upstream).await?;
    let most = launcher.max_concurrency.unwrap_or(LAMBDA_CONCURRENCY);
    let api = LambdaApi::new(launcher.clone(), logs.clone(), most);
    let first = api.spawn().await?;
    // Cancellation: whichever comes first decides.
    let form = tokio::select! {
        form = detect::first_use(&first.desk, upstream, START_LIMIT) => form,
        exit = first.child.exited() => Err(detect::ended_early(exit, upstream)),
    };
    match form {
        Ok(Form::Lambda) => {
            api.employ(first);
            Ok(Running::new(Link::Lambda(api.clone()), most, api.crew()))
        }
        Ok(Form::Http) => {
            if let Some(warning) = exposed::warning(launcher.upstream_port) {
                logs.platform(Level::Warn, &warning);
            }
            let form = HttpForm::new(upstream, &launcher.function);
            let max_concurrency = launcher.max_concurrency.unwrap_or(HTTP_CONCURRENCY);
            Ok(Running::new(Link::Http(form), max_concurrency, first.child))
        }
        Err(failure) => {
            first.child.kill();
            Err(failure)
        }
    }
}
