//! `zipship dev`: a server of the functions of a directory, behind the very gateway of `zipship serve`.
//!
//! A request goes [`front`] → (waits until the files as they are now are loaded, [`keeper`]) → gateway → shim.
//! A changed file goes [`watch`] → [`keeper`]: a new instance is prepared beside the live one, then the gateway
//! switches, and the old one finishes what it has. One thread runs it all.

mod front;
mod ignore;
mod instances;
mod keeper;
mod page;
pub(crate) mod report;
mod sweep;
mod watch;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use gateway::{Gateway, GatewayConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use self::front::Front;
use self::instances::Local;
use self::keeper::{Keeper, Served};
use self::report::Reporter;
use self::watch::Watcher;
use super::arguments::Chosen;
use super::identity::Namespace;
use super::interpreter::Interpreter;
use super::plan::Programs;
use super::serverless::NAMES as DECLARATIONS;

pub(crate) use self::ignore::Ignored;
pub(crate) use self::sweep::{adopt_orphans, end_children};

/// How long running requests may take at the end, as on the server.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Between two looks at requests that run long.
const LOOKS: Duration = Duration::from_millis(250);

/// What is served, and with what.
pub(crate) struct Setup {
    pub(crate) chosen: Chosen,
    /// One for each function.
    pub(crate) interpreters: Vec<Interpreter>,
    pub(crate) programs: Programs,
    pub(crate) namespace: Namespace,
    pub(crate) ignored: Ignored,
    pub(crate) reporter: Arc<Reporter>,
    /// A folder for sockets and compiled programs.
    pub(crate) room: PathBuf,
}

/// Serves on a socket that listens, until SIGINT, SIGTERM or SIGHUP; a second one ends it at once.
pub(crate) async fn serve(setup: Setup, socket: TcpListener) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let reporter = setup.reporter;
    let directory = setup.chosen.functions[0].directory.clone();
    let watcher = Watcher::start(&directory, setup.ignored).with_context(|| {
        format!("watching {} (see fs.inotify.max_user_watches in /proc/sys)", directory.display())
    })?;
    let local = Local::new(setup.room.clone(), reporter.clone());
    // An instance is kept although nobody calls, and ends at once when nothing of it is wanted.
    let config = GatewayConfig { close_limit: Duration::ZERO, ..GatewayConfig::default() };
    let gateway = Gateway::new(config, Arc::new(local.clone()));
    local.report_exits_to(&gateway);
    let served: Vec<Arc<Served>> = setup.chosen.functions.into_iter().map(Served::new).collect();
    let keeper = Arc::new(Keeper {
        gateway: gateway.clone(),
        instances: local.clone(),
        watcher: watcher.clone(),
        reporter: reporter.clone(),
        programs: setup.programs,
        namespace: setup.namespace,
        room: setup.room,
    });
    let url = format!("http://{}", socket.local_addr()?);
    let front = Front::new(&served, setup.chosen.declared, &keeper);
    let listening = front::listen(socket, front)?;
    let keepers: Vec<_> = served
        .iter()
        .zip(setup.interpreters.clone())
        .map(|(one, interpreter)| tokio::spawn(keeper.clone().keep(one.clone(), interpreter)))
        .collect();
    tokio::spawn(watch_long_requests(reporter.clone()));
    tokio::spawn(watch_declarations(watcher.clone(), reporter.clone()));
    // Cancellation: told to stop before everything was loaded, there is less to end.
    tokio::select! {
        _ = join_all(served.iter().map(|one| one.loaded())) => {
            let about = served.iter().zip(&setup.interpreters);
            reporter.ready(&url, &directory, keeper.about(about, &url, setup.chosen.declared));
            stop.next().await;
        }
        () = stop.next() => {}
    }
    reporter.stopping();
    let end = async {
        listening.stop(LAST_REQUESTS).await;
        keepers.iter().for_each(|keeper| keeper.abort());
        // What is left is in the snapshot; the next lines end it.
        let _ = timeout(LAST_REQUESTS, gateway.shutdown(LAST_REQUESTS)).await;
    };
    // Cancellation: dropping `end` cuts requests off, which is what a second signal means.
    tokio::select! {
        () = end => {}
        () = stop.next() => {}
    }
    local.kill_all().await;
    Ok(())
}

/// Their output is shown before they end.
async fn watch_long_requests(reporter: Arc<Reporter>) {
    loop {
        sleep(LOOKS).await;
        reporter.look();
    }
}

/// Which functions there are was read once.
async fn watch_declarations(watcher: Arc<Watcher>, reporter: Arc<Reporter>) {
    let mut changes = watcher.subscribe();
    let mut told = 1;
    while let Ok(now) = changes.wait_for(|changes| changes.settled > told).await.map(|now| now.clone()) {
        told = now.settled;
        if let Some(file) = now.files.iter().find(|file| DECLARATIONS.contains(&file.as_str())) {
            reporter.note(&format!("{file} has changed: start zipship dev again to take it"));
        }
    }
}

/// The signals that end it.
struct Stop([Signal; 3]);

impl Stop {
    fn listen() -> std::io::Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self([of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?]))
    }

    /// Resolves at the next of them. Cancellation: none is lost by dropping the future.
    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
