//! Programs that the shim runs as they are: Go's of both forms, and others that speak the Lambda Runtime API.

mod concurrency;
mod http_form;
mod lambda_http;
mod runtime_api;
mod streams;

use crate::harness::{Language, Setup, free_port};

fn setup(language: Language) -> Setup {
    Setup::new(language, "").set("SCW_UPSTREAM_PORT", &free_port())
}
