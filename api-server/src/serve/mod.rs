//! The server process: everything behind the one listener. [`run`] is its life.

mod bases;
mod health;
mod listener;
mod scrape;
mod sockets;
pub mod tls;

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use builder::golang::modules::ModuleProxy;
use builder::layer::LayerCache;
use gateway::{Gateway, GatewayConfig, Scheme};
use registry::Registry;
use runner::Backend;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    AppState, Config, Deployments,
    archives::{ArchiveStore, Bucket, Disk, Presigner},
    backup,
    collection::{CollectPolicy, Collector, Unpacked},
    crons::{self, Scheduler, ThroughGateway},
    deploy::{self, Deployer, Platform},
    http,
    instances::LocalInstances,
    logs::Logs,
    metrics::{Counted, Metrics},
    registry_access::RegistryAccess,
    removal,
    secrets::{Keys, Sealer},
    store::{Bootstrap, Store},
    usage::UsageKeeper,
};

use health::{Health, Phase};
use listener::Front;
use scrape::Sources;
use sockets::Sockets;
use tls::TlsSource;

/// Sockets of instances, below the data directory.
const RUN: &str = "run";
/// Files of compile jobs, below the data directory.
const BUILDS: &str = "builds";
/// The registry, below the data directory.
const REGISTRY: &str = "registry";
/// Layers that were made, below the data directory, and how many bytes of them are kept.
const MADE_LAYERS: (&str, u64) = ("made-layers", 1 << 30);
/// How long requests that run may take at the end of the server.
const SHUTDOWN: Duration = Duration::from_secs(12);
/// The least that is left after them for the end of instances.
const INSTANCES_END: Duration = Duration::from_secs(2);

/// What the server is told at its start.
pub struct ServeConfig {
    /// The API's part; `listen` may have port 0.
    pub config: Config,
    /// Where the base images lie (made by `zipship images build`), readable by this process.
    pub images: PathBuf,
    /// The gateway's part.
    pub gateway: GatewayConfig,
    /// TLS on the listener.
    pub tls: Option<TlsSource>,
    /// Where `/metrics` is to be had, besides `/healthz` and `/readyz`; without it nobody gets it.
    pub metrics_listen: Option<SocketAddr>,
    /// For how long requests are still taken after the end was asked for, and callers told to come back elsewhere.
    pub drain: Duration,
    /// Where the modules of Go functions come from; without it they must be vendored.
    pub module_proxy: Option<ModuleProxy>,
    /// What is kept of what was deployed before.
    pub collect: CollectPolicy,
}

/// What is told once the server answers.
#[derive(Debug)]
pub struct Announcement {
    /// Where it listens.
    pub url: String,
    /// The first organization and key, at the very first start.
    pub first: Option<Bootstrap>,
    /// Runtimes that have a base image.
    pub runtimes: Vec<String>,
}

/// Why the server could not start or went down.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address that can't be listened on.
    #[error("can't listen on {0}: {1}")]
    Bind(SocketAddr, #[source] std::io::Error),
    /// Something that has no better name: what was tried, and why it failed.
    #[error("{0}: {1}")]
    Failed(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Names what failed.
fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: &'static str,
) -> impl FnOnce(E) -> ServeError {
    move |error| ServeError::Failed(what, error.into())
}

/// Serves until `stop` resolves, then ends in order: no new requests, running ones finish, instances stop.
///
/// # Errors
/// [`ServeError`] when it could not start.
pub async fn run(
    serve: ServeConfig,
    backend: Arc<dyn Backend>,
    announce: impl FnOnce(Announcement),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let ServeConfig { mut config, images, mut gateway, module_proxy, tls, metrics_listen, drain, collect } =
        serve;
    if tls.is_some() {
        (config.scheme, gateway.scheme) = (Scheme::Https, Scheme::Https);
    }
    let state = State::open(&config).await?;
    let first = state.store.bootstrap(&config.first_key_file()).await.map_err(failed("the first API key"))?;
    let bases = bases::load(&images).map_err(failed("the base images"))?;
    let sockets = Sockets::bind(&mut config, tls, metrics_listen).await?;
    let own = sockets.own.to_string();
    let (metrics, health) = (Arc::new(Metrics::default()), Health::new(state.store.clone()));

    let run_dir = config.data.join(RUN);
    let instances = LocalInstances::new(
        state.store.clone(),
        state.blobs.clone(),
        Arc::clone(&backend),
        state.logs.clone(),
        run_dir,
    );
    let of_bases = bases.values().map(|base| (base.repository(), base.digest.to_string()));
    let unpacked = Unpacked { instances: instances.clone(), bases: of_bases.collect() };
    let counted = Counted::new(instances.clone(), Arc::clone(&metrics));
    let gateway = Gateway::new(gateway, Arc::new(counted));
    tokio::spawn(tell_exits(Arc::clone(&backend), instances.clone(), Arc::clone(&gateway)));
    let usage = Arc::new(UsageKeeper::new(state.store.clone(), Arc::clone(&gateway)));
    let deployer = Deployer::new(Platform {
        store: state.store.clone(),
        logs: state.logs.clone(),
        archives: state.archives.clone(),
        archive_limits: config.archive_limits,
        bases: bases.clone(),
        registry: state.registry_client()?,
        registry_options: state.registry_options(),
        registry_host: own.clone(),
        registry_name: public_host(&config),
        foreign_images: config.foreign_images.clone(),
        proven: std::sync::Mutex::default(),
        building: Semaphore::new(deploy::BUILDS_AT_ONCE),
        backend,
        instances,
        gateway: Arc::clone(&gateway),
        usage: Arc::clone(&usage),
        builds: config.data.join(BUILDS),
        layers: Arc::new(
            LayerCache::open(&config.data.join(MADE_LAYERS.0), MADE_LAYERS.1)
                .map_err(failed("the layers made before"))?,
        ),
        module_proxy,
        http: reqwest::Client::builder().no_proxy().build().map_err(failed("the probe's client"))?,
        public_path: format!("http://{own}"),
        metrics: Arc::clone(&metrics),
    });
    let api = state.api(config.clone(), Arc::new(deployer.clone()), Arc::clone(&metrics));
    let registry = Registry::new(state.blobs.clone(), Arc::clone(&state.access) as _);
    let registry = http::guarded(registry::router(registry), &api);
    let beside = http::with_request_ids(registry.merge(health.router()));
    let router = http::router(api.clone()).merge(beside);
    let page = scrape::router(Sources {
        metrics: Arc::clone(&metrics),
        gateway: Arc::clone(&gateway),
        store: state.store.clone(),
        registry: config.data.join(REGISTRY),
        size: std::sync::Mutex::default(),
    });

    removal::sweep(&api).await.map_err(failed("the archives"))?;
    // Routes first: a request that is let in finds its function.
    deployer.restore().await.map_err(failed("what was deployed"))?;
    // Nobody reads a call as running that a server which is gone left behind.
    let caller = ThroughGateway::new(state.store.clone(), Arc::clone(&gateway), &public_host(&config));
    let scheduler =
        Scheduler::restore(api.clone(), Arc::new(caller), crons::now()).await.map_err(failed("crons"))?;
    let front = Front { router, gateway: Arc::clone(&gateway), metrics, health: health.clone() };
    let listening = sockets.listen(front, page.merge(health.router()));
    bases::publish(&bases, &state.registry_client()?, &own).await.map_err(failed("the base images"))?;
    removal::resume(&api).await.map_err(failed("what was being deleted"))?;
    let (end_crons, crons_end) = oneshot::channel::<()>();
    let crons = tokio::spawn(scheduler.run(async move { drop(crons_end.await) }, SHUTDOWN));
    let locks = tokio::spawn(deployer.clone().watch_locks());
    let deploys = tokio::spawn(deployer.run());
    let (end_usage, usage_end) = oneshot::channel::<()>();
    let keeping = tokio::spawn({
        let usage = Arc::clone(&usage);
        async move { usage.run(async move { drop(usage_end.await) }).await }
    });
    let collector = tokio::spawn(state.collector(collect, unpacked).run());
    let log_budgets = tokio::spawn(state.logs.clone().run());
    health.enter(Phase::Serving);
    let url = format!("{}://{}", config.scheme.as_str(), config.listen);
    announce(Announcement { url, first, runtimes: bases.keys().cloned().collect() });

    stop.await;
    tracing::info!("stopping");
    health.enter(Phase::Stopping);
    // First of all, and with all that is under way: a deploy that is cut off here is claimed again at the next
    // start, while one that saw its instance go would end in error.
    deploys.abort();
    collector.abort();
    log_budgets.abort();
    locks.abort();
    let _ = deploys.await;
    drop(end_crons);
    // Callers with kept connections are told to come back elsewhere, and who asks hears that this server is not ready.
    tokio::time::sleep(drain).await;
    // The gateway last: what was let in is answered by it.
    let began = tokio::time::Instant::now();
    let _ = tokio::join!(listening.stop(SHUTDOWN), crons);
    let left = gateway.shutdown(SHUTDOWN.saturating_sub(began.elapsed()).max(INSTANCES_END)).await;
    if let Err(left) = left {
        tracing::warn!(?left, "instances were left to the launcher");
    }
    drop(end_usage);
    let _ = keeping.await;
    // After the last request.
    usage.keep().await;
    // Nothing speaks any more: the last words are written.
    state.logs.close().await;
    state.store.close().await;
    Ok(())
}

/// What the data directory holds, opened.
struct State {
    keys: Keys,
    store: Store,
    logs: Logs,
    archives: ArchiveStore,
    blobs: registry::store::Disk,
    access: Arc<RegistryAccess>,
}

impl State {
    async fn open(config: &Config) -> Result<Self, ServeError> {
        for scratch in [RUN, BUILDS] {
            empty(&config.data.join(scratch)).map_err(failed("the data directory"))?;
        }
        backup::clean(config).map_err(failed("what a backup left"))?;
        let keys = Keys::load_or_prepare(&config.key_file()).map_err(failed("the key file"))?;
        let store =
            Store::serve(&config.database(), Sealer::new(&keys)).await.map_err(failed("the database"))?;
        // A key file is made for a store without secrets only: another one would seal beside what it cannot open.
        store.require_own_keys().await.map_err(failed("the key file"))?;
        keys.keep().map_err(failed("the key file"))?;
        let archives = archives(config).await?;
        let blobs =
            registry::store::Disk::open(config.data.join(REGISTRY)).map_err(failed("the registry"))?;
        let access = Arc::new(RegistryAccess::new(store.clone(), config.registry_quota));
        let logs = Logs::new(config.logs(), config.log_limits, store.clone());
        Ok(Self { keys, store, logs, archives, blobs, access })
    }

    fn api(&self, config: Config, deployments: Arc<dyn Deployments>, metrics: Arc<Metrics>) -> AppState {
        let presigner = Presigner::new(&self.keys);
        let (store, logs) = (self.store.clone(), self.logs.clone());
        AppState::new(config, store, self.archives.clone(), logs, presigner, deployments, metrics)
    }

    fn collector(&self, policy: CollectPolicy, unpacked: Unpacked) -> Collector {
        let (store, archives) = (self.store.clone(), self.archives.clone());
        Collector { store, archives, images: self.blobs.clone(), unpacked: Some(unpacked), policy }
    }

    /// A client of the embedded registry that may do everything; not to be used with any other.
    fn registry_client(&self) -> Result<oci::client::Client, ServeError> {
        oci::client::Client::new(self.registry_options()).map_err(failed("the registry's client"))
    }

    fn registry_options(&self) -> oci::client::Options {
        let (user, password) = self.access.service_credential();
        let credentials =
            oci::client::Credentials::Basic { user: user.to_owned(), password: password.to_owned() };
        oci::client::Options { credentials, plain_http: true, ..Default::default() }
    }
}

/// The archives. A bucket that does not answer now is no reason not to serve what is deployed; one that refuses is.
async fn archives(config: &Config) -> Result<ArchiveStore, ServeError> {
    let Some(place) = &config.bucket else {
        return Ok(Disk::open(&config.archives()).map_err(failed("the archives"))?.into());
    };
    let bucket = Bucket::new(place.clone(), &config.bucket_access).map_err(failed("the archives"))?;
    match bucket.check().await {
        Err(error) if !error.is_passing() => return Err(failed("the archives")(error)),
        Err(error) => tracing::warn!(%error, "archives cannot be uploaded nor deployed now"),
        Ok(()) => tracing::info!(bucket = %bucket.place(), "archives are in a bucket"),
    }
    Ok(bucket.into())
}

/// Ends of instances go to whoever waits for their start, and to the gateway.
async fn tell_exits(backend: Arc<dyn Backend>, instances: LocalInstances, gateway: Arc<Gateway>) {
    let mut exits = backend.exits();
    while let Some(exited) = exits.recv().await {
        instances.exited(&exited);
        let cause = match (exited.code, exited.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown".to_owned(),
        };
        gateway.instance_exited(&exited.instance, &cause, exited.out_of_memory);
    }
}

/// The host of applications' endpoints, as they see it.
fn public_host(config: &Config) -> String {
    let url = config.public_url.as_deref().and_then(|url| url.split_once("://"));
    let host = url.and_then(|(_, rest)| rest.split('/').next()).filter(|host| !host.is_empty());
    host.map_or_else(|| sockets::own_address(config.listen).to_string(), str::to_owned)
}

/// An empty directory: what a server that is gone left in it is of no use.
fn empty(directory: &std::path::Path) -> std::io::Result<()> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)
}
