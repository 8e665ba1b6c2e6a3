//! Route, hold, balance, proxy; and the scaling decision.
//!
//! A request comes in at [`Gateway::forward`]: its path names a function ([`route`]), it is held until an
//! instance of the live revision has a place for it ([`hold`]; [`core`] decides, starts instances and balances),
//! goes to that instance and its answer back ([`proxy`]), and the end of the answer returns the place. The
//! gateway knows no runner, no store and no deploys: it asks [`Instances`] and is told ([`control`]). What functions used is counted in [`usage`].
#![forbid(unsafe_code)]

mod answer;
mod config;
mod control;
mod core;
mod finish;
mod forward;
mod function;
mod headers;
mod hold;
mod instance;
mod instances;
mod listen;
mod pool;
mod probe;
mod proxy;
mod route;
mod snapshot;
mod usage;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use config::{GatewayConfig, Scheme};
pub use control::NotPrepared;
pub use instances::{
    Address, BoxFuture, Dial, Instances, Phase, Program, Revision, StartFailure, StartFailureKind,
    StartedInstance, StopReason,
};
pub use listen::{Listening, Plain, Protocol, Secure};
pub use route::RouteState;
pub use snapshot::{FunctionSnapshot, InstancePhase, InstanceSnapshot, Snapshot};
pub use usage::Usage;

/// What a body in transit may fail with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// A body in transit.
pub type BoxBody = UnsyncBoxBody<Bytes, BodyError>;

/// The load balancer of all functions. Everything it knows is in memory: after a restart it is told again.
pub struct Gateway {
    table: route::Table,
    /// Held by whoever changes the table.
    changing: Mutex<()>,
    shared: Arc<function::Shared>,
}

impl Gateway {
    /// A gateway without functions. Its tasks run on the runtime that it is made on.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(config: GatewayConfig, instances: Arc<dyn Instances>) -> Arc<Self> {
        let shared = function::Shared {
            starts: Semaphore::new(config.starts.clamp(1, Semaphore::MAX_PERMITS)),
            config: Arc::new(config),
            instances,
            runtime: Runtime::current(),
            started: Instant::now(),
            waiting: AtomicUsize::new(0),
            by_name: Mutex::new(HashMap::new()),
            ledger: usage::Ledger::default(),
        };
        Arc::new(Self { table: route::Table::default(), changing: Mutex::new(()), shared: Arc::new(shared) })
    }
}
