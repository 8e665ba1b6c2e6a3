//! What an operator may set. Every duration and bound of the gateway is here and nowhere else.

use std::time::Duration;

use crate::{Program, Revision};

/// Bounds and times of the gateway. [`GatewayConfig::default`] is what `zipship serve` uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// An instance without a request for this long is stopped. Default 300 s.
    pub idle: Duration,
    /// A request waits at least this long for a slot before it is refused; longer where the revision is known
    /// to start slowly (3.5 times its slowest start, as Cloud Run does), or has not started yet (the limit of its
    /// start). Default 10 s.
    pub queue_deadline: Duration,
    /// Most requests that wait for one function; the bound is the smaller of this and 20 times what the
    /// function can run at once at its `max_scale`. Default 1000.
    pub queue_bound: usize,
    /// Most requests that wait on the whole machine. Default 10000.
    pub machine_queue_bound: usize,
    /// Most instances of one revision at once, whatever its `max_scale`. Default 1.
    pub instances: u32,
    /// Most starts in flight on the whole machine: starting is CPU-bound. Default twice the cores.
    pub starts: usize,
    /// A function's start that is not ready by then is given up. Default 60 s.
    pub start_limit: Duration,
    /// A container's. Default 125 s: whoever starts it waits 120 s for its port, and then says so.
    pub container_start_limit: Duration,
    /// Added to a function's timeout, so that the shim's own 504 comes first. Default 1 s.
    pub timeout_slack: Duration,
    /// Delete and shutdown wait this long for what runs. Default 10 s.
    pub close_limit: Duration,
    /// Pause after the first failed start or crash of a revision; doubles with each further one. Default 1 s.
    pub backoff_first: Duration,
    /// Longest such pause. Default 60 s.
    pub backoff_most: Duration,
    /// A kept-alive connection to a function's instance is used again only within this time. Default 30 s.
    pub keep_alive: Duration,
    /// One to a container's. Default 4 s: node closes idle ones after five.
    pub container_keep_alive: Duration,
    /// `X-Forwarded-Proto`: how callers reach this server. Default http.
    pub scheme: Scheme,
}

/// How callers reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS, ended by something before this server.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl GatewayConfig {
    /// How long a revision's request may take, from its slot to the head of its answer.
    pub(crate) fn answer_limit(&self, revision: &Revision) -> Duration {
        match revision.program {
            Program::Function => revision.timeout + self.timeout_slack,
            Program::Container => revision.timeout,
        }
    }

    pub(crate) fn start_limit_of(&self, program: Program) -> Duration {
        match program {
            Program::Function => self.start_limit,
            Program::Container => self.container_start_limit,
        }
    }

    pub(crate) fn keep_alive_of(&self, program: Program) -> Duration {
        match program {
            Program::Function => self.keep_alive,
            Program::Container => self.container_keep_alive,
        }
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(300),
            queue_deadline: Duration::from_secs(10),
            queue_bound: 1000,
            machine_queue_bound: 10_000,
            instances: 1,
            starts: 2 * std::thread::available_parallelism().map_or(1, usize::from),
            start_limit: Duration::from_secs(60),
            container_start_limit: Duration::from_secs(125),
            timeout_slack: Duration::from_secs(1),
            close_limit: Duration::from_secs(10),
            backoff_first: Duration::from_secs(1),
            backoff_most: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
            container_keep_alive: Duration::from_secs(4),
            scheme: Scheme::Http,
        }
    }
}
