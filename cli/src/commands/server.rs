//! `zipship server`: the unprivileged server process, started by the launcher.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use api_server::{
    Config,
    serve::{self, Announcement, ServeConfig},
};
use gateway::{GatewayConfig, Scheme};
use runner::local::{Client, server_dir};
use tokio::signal::unix::{SignalKind, signal};

use super::serve::{Serve, images_of};
use crate::{configuration, go_proxy};

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let handed_over =
        runner::local::configuration().context("zipship server is started by zipship serve only")?;
    let arguments = configuration::take_over(&handed_over)?;
    crate::log::start(arguments.json, arguments.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))?;
    // Blocking work that still goes on (a build) is not waited for: its deploy is repeated at the next start.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let launcher = Client::from_environment().context("zipship server is started by zipship serve only")?;
    let mut config = Config::new(server_dir(&arguments.data));
    config.database_url = arguments.database.url()?;
    config.listen = arguments.listen;
    config.public_url = arguments.public_url.map(|url| url.trim_end_matches('/').to_owned());
    config.regions = arguments.regions;
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
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    let module_proxy = go_proxy::of_machine(arguments.go_proxy.as_deref(), None)?;
    let collect = arguments.collect.policy();
    serve::run(
        ServeConfig { config, images, gateway, module_proxy, collect },
        Arc::new(launcher),
        announce,
        stop,
    )
    .await?;
    Ok(())
}

fn announce(told: Announcement) {
    if let Some(first) = told.first {
        println!("organization {}", first.organization_id);
        println!("API key      {} (shown once; also in credentials.json of the data directory)", first.key);
    }
    println!("runtimes     {}", told.runtimes.join(", "));
    println!("zipship is ready at http://{}", told.address);
}
