//! What whoever keeps a server running counts on: TLS, health, metrics, limits, an end that loses nothing.

mod certificates;
mod ending;
mod limits;
mod observing;
mod starting;
mod tls;
mod unit;
