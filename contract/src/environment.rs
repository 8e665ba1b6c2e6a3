//! The environment of a function container: one constant per variable, and which names users may not set.

/// Port the shim listens on, all interfaces. Default [`DEFAULT_PORT`].
pub const PORT: &str = "PORT";
/// `true` for a public application; anything else is private.
pub const SCW_PUBLIC: &str = "SCW_PUBLIC";
/// PKCS#1 PEM of the namespace's RSA public key.
pub const SCW_PUBLIC_KEY: &str = "SCW_PUBLIC_KEY";
/// Id of the namespace.
pub const SCW_NAMESPACE_ID: &str = "SCW_NAMESPACE_ID";
/// Id of the function or container.
pub const SCW_APPLICATION_ID: &str = "SCW_APPLICATION_ID";
/// The handler as the API has it, `src/handler.my_handler`.
pub const SCW_HANDLER: &str = "SCW_HANDLER";
/// Name of the function, for the handler's context.
pub const SCW_APPLICATION_NAME: &str = "SCW_APPLICATION_NAME";
/// Memory limit in MB, for the handler's context.
pub const SCW_APPLICATION_MEMORY: &str = "SCW_APPLICATION_MEMORY";
/// Version "1", "2", ... for the handler's context.
pub const SCW_APPLICATION_VERSION: &str = "SCW_APPLICATION_VERSION";
/// One invocation's limit in milliseconds. Default [`crate::limits::DEFAULT_TIMEOUT_MS`].
pub const SCW_TIMEOUT_MS: &str = "SCW_TIMEOUT_MS";
/// Port of the Prometheus metrics; off when unset.
pub const SCW_METRICS_PORT: &str = "SCW_METRICS_PORT";
/// `error`, `warn`, `info` (default) or `debug`: the shim's own log lines.
pub const SCW_LOG_LEVEL: &str = "SCW_LOG_LEVEL";
/// Requests that may wait inside the shim. Default: the concurrency; 0 on inherited sockets.
pub const SCW_QUEUE_SIZE: &str = "SCW_QUEUE_SIZE";
/// Request header limit in bytes, over it 431. Default 65536.
pub const SCW_HEADER_MAX_SIZE: &str = "SCW_HEADER_MAX_SIZE";
/// Networks (CIDR, comma separated) whose `X-Forwarded-*` is believed. Default none.
pub const SCW_TRUSTED_PROXIES: &str = "SCW_TRUSTED_PROXIES";
/// Request body limit in bytes, over it 413. Default 6291456.
pub const SCW_PAYLOAD_MAX_SIZE: &str = "SCW_PAYLOAD_MAX_SIZE";
/// Invocations at once in this instance. Default by runtime.
pub const SCW_MAX_CONCURRENCY: &str = "SCW_MAX_CONCURRENCY";
/// How long SIGTERM waits for what runs, in milliseconds. Default 10000.
pub const SCW_GRACE_MS: &str = "SCW_GRACE_MS";
/// Port on which a Go handler built with `scaleway-functions-go` listens. Default 8081.
pub const SCW_UPSTREAM_PORT: &str = "SCW_UPSTREAM_PORT";
/// Inherited descriptor of a listening socket (TCP or Unix), instead of [`PORT`].
pub const ZIPSHIP_LISTEN_FD: &str = "ZIPSHIP_LISTEN_FD";
/// Inherited descriptor where the ready line is written ([`crate::instance::ReadyLine`]).
pub const ZIPSHIP_READY_FD: &str = "ZIPSHIP_READY_FD";
/// Inherited descriptor for log records ([`crate::instance::LogRecord`]), instead of raw stdout and stderr.
pub const ZIPSHIP_LOG_FD: &str = "ZIPSHIP_LOG_FD";
/// Inherited descriptor from which configuration is read once ([`crate::instance::Control`]).
pub const ZIPSHIP_CONTROL_FD: &str = "ZIPSHIP_CONTROL_FD";
/// Which language the image's base carries: `node`, `python` or `golang`. Set in the base image.
pub const ZIPSHIP_LANGUAGE: &str = "ZIPSHIP_LANGUAGE";
/// Command line of the worker, a JSON array. Set in the base image for node and python.
pub const ZIPSHIP_WORKER: &str = "ZIPSHIP_WORKER";

/// Default of [`PORT`].
pub const DEFAULT_PORT: u16 = 8080;
/// Default of [`SCW_UPSTREAM_PORT`].
pub const DEFAULT_UPSTREAM_PORT: u16 = 8081;

/// Where user code lies in the image, and the working directory.
pub const CODE_DIRECTORY: &str = "/home/app/function";
/// Where the shim lies in every base.
pub const SHIM_PATH: &str = "/usr/local/bin/zipship-shim";
/// Where the worker programs lie in the bases (`node/worker.js`, `python/worker.py`).
pub const WORKER_DIRECTORY: &str = "/usr/local/lib/zipship";
/// Where the compiled Go handler lies in the image.
pub const GO_HANDLER_PATH: &str = "/home/app/function/handler";
/// User and group of all processes in a container.
pub const CONTAINER_UID: u32 = 1000;

/// Whether users may not set this name: `PORT`, `_HANDLER`, `SCW_*`, `ZIPSHIP_*`, `AWS_LAMBDA_*`.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    matches!(name, PORT | "_HANDLER")
        || ["SCW_", "ZIPSHIP_", "AWS_LAMBDA_"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::is_reserved;

    #[test]
    fn platform_names_are_reserved_and_ordinary_ones_are_not() {
        for name in ["PORT", "SCW_PUBLIC", "ZIPSHIP_X", "AWS_LAMBDA_RUNTIME_API", "_HANDLER"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["PATH", "AWS_REGION", "PORTS", "MY_SCW_X"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
