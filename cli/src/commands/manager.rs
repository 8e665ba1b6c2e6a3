//! What the service manager is told (sd_notify): one datagram to the socket that it names.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::{
    ffi::OsStrExt as _,
    net::{SocketAddr, UnixDatagram},
};

/// Where the manager listens; unset where there is none.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells it. That nobody listens is no failure.
pub(crate) fn notify_manager(state: &str) {
    let Some(name) = std::env::var_os(SOCKET) else { return };
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => SocketAddr::from_pathname(&name),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(%error, state, "the service manager was not told");
    }
}
