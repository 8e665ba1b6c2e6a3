//! Route, hold, balance, proxy; and the scaling decision.
#![forbid(unsafe_code)]

mod config;
mod instances;

pub use config::{GatewayConfig, Scheme};
pub use instances::{BoxFuture, Instances, Phase, Revision, StartFailure, StartFailureKind, StartedInstance};
