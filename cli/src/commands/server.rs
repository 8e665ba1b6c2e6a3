//! `zipship server`: the unprivileged server process, started by the launcher.

use std::{
    io::{self, ErrorKind, Write as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use api_server::{
    Config,
    serve::{self, Announcement, ServeConfig, ServeError, tls::TlsSource},
};
use gateway::{GatewayConfig, Scheme};
use runner::local::{Client, server_dir};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::certificate::FromLauncher;
use super::manager::notify_manager;
use super::serve::{Serve, images_of};
use crate::{configuration, go_proxy};

/// Tells the launcher that starting again would not help.
const EX_USAGE: u8 = 64;

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let handed_over =
        runner::local::configuration().context("zipship server is started by zipship serve only")?;
    let arguments = configuration::take_over(&handed_over)?;
    crate::log::start(arguments.json, arguments.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Err(error) = runtime.block_on(serve(arguments)) {
        let Some(ServeError::Bind(address, cause)) = error.downcast_ref() else { return Err(error) };
        eprintln!("error: can't listen on {address}: {cause}; {}", remedy(cause));
        return Ok(ExitCode::from(EX_USAGE));
    }
    // Blocking work that still goes on (a build) is not waited for: its deploy is repeated at the next start.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(ExitCode::SUCCESS)
}

/// What to do about an address that can't be listened on.
fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::AddrInUse => "end the program that does, or take another address",
        ErrorKind::AddrNotAvailable => "take one of this machine's addresses, or 0.0.0.0 for all of them",
        ErrorKind::PermissionDenied => {
            "ports this low are not for everybody, and the server is not root: take a higher one, put a proxy before \
             it, or let all use it: sysctl net.ipv4.ip_unprivileged_port_start=PORT"
        }
        _ => "take another address",
    }
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let launcher = Client::from_environment().context("zipship server is started by zipship serve only")?;
    let mut config = Config::new(server_dir(&arguments.data));
    config.database_url = arguments.database.url()?;
    config.bucket_access = arguments.archives.access()?;
    config.bucket = arguments.archives.archives;
    config.listen = arguments.listen;
    config.public_url = arguments.public_url.map(|url| url.trim_end_matches('/').to_owned());
    config.regions = arguments.regions;
    config.rates = arguments.operation.rates();
    config.registry_quota = arguments.registry_quota.map(|megabytes| megabytes.saturating_mul(1_000_000));
    config.foreign_images = arguments.foreign_images.settings();
    config.quotas = arguments.quotas.quotas()?;
    config.archive_limits = arguments.limits.of_archives()?;
    config.log_limits = arguments.logs.limits();
    let https = config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    let gateway = GatewayConfig {
        idle: Duration::from_secs(arguments.idle),
        scheme: if https { Scheme::Https } else { Scheme::Http },
        ..GatewayConfig::default()
    };
    let images = images_of(&arguments.data);
    let launcher = Arc::new(launcher);
    let look = Arc::new(Notify::new());
    let tls = arguments.operation.certificate()?.map(|files| TlsSource {
        source: Arc::new(FromLauncher { launcher: Arc::clone(&launcher), files }),
        look: Arc::clone(&look),
    });
    let stop = told_to_stop(look)?;
    let module_proxy = go_proxy::of_machine(arguments.go_proxy.as_deref(), None)?;
    let serve = ServeConfig {
        config,
        images,
        gateway,
        module_proxy,
        collect: arguments.collect.policy(),
        tls,
        metrics_listen: arguments.operation.metrics_listen,
        drain: arguments.operation.drain(),
    };
    serve::run(serve, launcher, announce, stop).await?;
    Ok(())
}

/// Resolves at SIGTERM and SIGINT. SIGHUP rings `look`.
fn told_to_stop(look: Arc<Notify>) -> std::io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        // Cancel-safe: a signal that is not received by one turn is by the next.
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                _ = hangup.recv() => look.notify_one(),
            }
        }
        notify_manager("STOPPING=1");
    })
}

fn announce(told: Announcement) {
    let first = told.first.map(|first| {
        format!(
            "organization {}\nAPI key      {} (shown once; also in credentials.json of the data directory)\n",
            first.organization_id, first.key
        )
    });
    let text = format!(
        "{}runtimes     {}\nzipship is ready at {}\n",
        first.unwrap_or_default(),
        told.runtimes.join(", "),
        told.url
    );
    // Nobody may listen any more: that is no reason not to serve.
    let _ = std::io::stdout().write_all(text.as_bytes());
    notify_manager("READY=1");
}
