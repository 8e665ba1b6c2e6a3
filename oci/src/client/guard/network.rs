//! What the guard knows of the network. A trait, so that tests can say what a name means.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use futures_util::future::BoxFuture;

/// Names, and this machine's own addresses.
pub trait Network: fmt::Debug + Send + Sync {
    /// All addresses of a name.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

    /// Whether an address is one of this machine's.
    fn is_own(&self, address: IpAddr) -> bool;

    /// What to connect to for an address that was found good: the address itself, and port 0 for the URL's.
    fn dial(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, 0)
    }
}

/// This machine's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct System;

impl Network for System {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }

    fn is_own(&self, address: IpAddr) -> bool {
        // Only to its own addresses can a machine bind a socket. Nothing is sent.
        UdpSocket::bind((address, 0)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_knows_its_own_addresses() {
        assert!(System.is_own([127, 0, 0, 1].into()));
        assert!(!System.is_own([192, 0, 2, 1].into()));
    }

    #[tokio::test]
    async fn localhost_is_a_name_of_a_loopback_address() {
        let found = System.resolve("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
