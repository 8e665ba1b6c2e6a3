//! What the server counts, and the page that shows it. No label names a function, a key or an organization: how many
//! series there are does not depend on users.

mod instances;
mod page;

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

use http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub(crate) use instances::Counted;
pub use page::{CONTENT_TYPE, Now, text};

/// Upper bounds in seconds, for requests.
const OF_REQUESTS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Likewise for starts of instances.
const OF_STARTS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Likewise for deploys.
const OF_DEPLOYS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// How a deploy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeployOutcome {
    Ready,
    Error,
    Superseded,
    Interrupted,
}

/// How the start of an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartOutcome {
    Ready,
    Failed,
    Abandoned,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOperation {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAnswer {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClass {
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

impl From<DeployOutcome> for OfOutcome {
    fn from(outcome: DeployOutcome) -> Self {
        let outcome = match outcome {
            DeployOutcome::Ready => "ready",
            DeployOutcome::Error => "error",
            DeployOutcome::Superseded => "superseded",
            DeployOutcome::Interrupted => "interrupted",
        };
        Self { outcome }
    }
}

impl From<StartOutcome> for OfOutcome {
    fn from(outcome: StartOutcome) -> Self {
        let outcome = match outcome {
            StartOutcome::Ready => "ready",
            StartOutcome::Failed => "failed",
            StartOutcome::Abandoned => "abandoned",
        };
        Self { outcome }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    answers: Family<OfAnswer, Counter>,
    answering: Family<OfOperation, Histogram, fn() -> Histogram>,
    calls: Family<OfClass, Counter>,
    calling: Histogram,
    running: Gauge,
    starts: Family<OfOutcome, Counter>,
    starting: Histogram,
    deploys: Family<OfOutcome, Counter>,
    deploying: Family<OfOutcome, Histogram, fn() -> Histogram>,
    limited: Counter,
    store_errors: Counter,
    // Of the moment: set when the page is asked for.
    instances: Family<OfState, Gauge>,
    held: Gauge,
    queued: Gauge,
    registry_bytes: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests: fn() -> Histogram = || Histogram::new(OF_REQUESTS);
        let deploys: fn() -> Histogram = || Histogram::new(OF_DEPLOYS);
        let mut metrics = Self {
            registry: Registry::with_prefix("zipship"),
            answers: Family::default(),
            answering: Family::new_with_constructor(requests),
            calls: Family::default(),
            calling: requests(),
            running: Gauge::default(),
            starts: Family::default(),
            starting: Histogram::new(OF_STARTS),
            deploys: Family::default(),
            deploying: Family::new_with_constructor(deploys),
            limited: Counter::default(),
            store_errors: Counter::default(),
            instances: Family::default(),
            held: Gauge::default(),
            queued: Gauge::default(),
            registry_bytes: Gauge::default(),
        };
        metrics.name();
        metrics
    }
}

impl Metrics {
    fn name(&mut self) {
        let to = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "Which zipship this is", build);
        to.register("api_requests", "Requests to the API, by operation and status", self.answers.clone());
        let help = "Time from a request's head to its answer's head, by operation";
        to.register_with_unit("api_request_duration", help, Unit::Seconds, self.answering.clone());
        to.register("api_limited_requests", "Requests that were refused as too many", self.limited.clone());
        to.register(
            "calls",
            "Calls of functions and containers, by class of their status",
            self.calls.clone(),
        );
        let help = "Time from a call's head to its answer's head";
        to.register_with_unit("call_duration", help, Unit::Seconds, self.calling.clone());
        to.register("calls_in_flight", "Calls that have no answer's head yet", self.running.clone());
        to.register("calls_held", "Calls that wait for an instance", self.held.clone());
        to.register("instances", "Instances, by state", self.instances.clone());
        to.register("instance_starts", "Starts of instances, by outcome", self.starts.clone());
        let help = "Time until a started instance was ready";
        to.register_with_unit("instance_start_duration", help, Unit::Seconds, self.starting.clone());
        to.register("deploys", "Deploys that came to an end, by outcome", self.deploys.clone());
        let help = "Time from a deploy's begin to its end, by outcome";
        to.register_with_unit("deploy_duration", help, Unit::Seconds, self.deploying.clone());
        to.register("deploys_queued", "Deploys that are not at an end", self.queued.clone());
        let help = "Size of what the registry holds";
        to.register_with_unit("registry", help, Unit::Bytes, self.registry_bytes.clone());
        to.register("store_errors", "Requests that failed for the database", self.store_errors.clone());
    }

    /// An operation of the API was answered.
    pub(crate) fn answered(&self, operation: &'static str, status: StatusCode, since: Instant) {
        self.answers.get_or_create(&OfAnswer { operation, status: status.as_u16() }).inc();
        self.answering.get_or_create(&OfOperation { operation }).observe(since.elapsed().as_secs_f64());
        match status {
            StatusCode::TOO_MANY_REQUESTS => drop(self.limited.inc()),
            StatusCode::SERVICE_UNAVAILABLE => drop(self.store_errors.inc()),
            _ => {}
        }
    }

    /// A call begins; it counts as answered when the value is told so, or as left when it is dropped before.
    pub(crate) fn call(&self) -> Call<'_> {
        self.running.inc();
        Call { metrics: self, since: Instant::now(), class: "left" }
    }

    /// A deploy came to an end that took so long.
    pub(crate) fn deployed(&self, outcome: DeployOutcome, took: Duration) {
        self.deploys.get_or_create(&outcome.into()).inc();
        self.deploying.get_or_create(&outcome.into()).observe(took.as_secs_f64());
    }

    fn started(&self, outcome: StartOutcome, took: Duration) {
        self.starts.get_or_create(&outcome.into()).inc();
        if outcome == StartOutcome::Ready {
            self.starting.observe(took.as_secs_f64());
        }
    }
}

/// One call of a function or container.
pub(crate) struct Call<'a> {
    metrics: &'a Metrics,
    since: Instant,
    class: &'static str,
}

impl Call<'_> {
    /// Its answer's head is there.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.class = match status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.metrics.running.dec();
        self.metrics.calls.get_or_create(&OfClass { class: self.class }).inc();
        self.metrics.calling.observe(self.since.elapsed().as_secs_f64());
    }
}
