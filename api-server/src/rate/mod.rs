//! How many requests a key, and an address without a key, may make. A key's flood leaves other keys alone; guesses at
//! keys are bounded by the address that they come from, and cost no look into the store once they are.

mod buckets;

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub use buckets::Rate;

use buckets::Buckets;

/// Keys and addresses that are told apart, at most.
const MOST: usize = 100_000;

/// What may be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Of requests with one good key.
    pub key: Rate,
    /// Of requests without a good key from one address (IPv6: one /64).
    pub address: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self { key: Rate { per_second: 1000, burst: 2000 }, address: Rate { per_second: 20, burst: 200 } }
    }
}

/// Where a request comes from, as the listener saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Too many requests: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// At least so long.
    pub wait: Duration,
}

impl TooMany {
    /// For `Retry-After`.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::try_from(self.wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }
}

/// The limits of one server.
#[derive(Debug)]
pub struct Limiter(Mutex<State>);

#[derive(Debug)]
struct State {
    keys: Buckets<String>,
    addresses: Buckets<IpAddr>,
    /// Hashes of keys that were good: an address that guesses does not shut out who is known.
    good: HashSet<String>,
}

impl Limiter {
    /// With full buckets.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let (keys, addresses) = (Buckets::new(rates.key, MOST), Buckets::new(rates.address, MOST));
        Self(Mutex::new(State { keys, addresses, good: HashSet::new() }))
    }

    /// Before a key is looked up: refuses one that was never good from an address that has made too many such requests.
    /// Without an address nothing is refused: the request comes from within.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn before(&self, key_hash: Option<&str>, peer: Option<Peer>) -> Result<(), TooMany> {
        let state = self.state();
        let known = key_hash.is_some_and(|hash| state.good.contains(hash));
        match peer.filter(|_| !known).and_then(|peer| state.addresses.empty(&network(peer.0), Instant::now()))
        {
            Some(wait) => Err(TooMany { wait }),
            None => Ok(()),
        }
    }

    /// A good key was shown: it counts.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn good(&self, key_hash: &str) -> Result<(), TooMany> {
        let mut state = self.state();
        state.know(key_hash);
        state.keys.take(&key_hash.to_owned(), Instant::now()).map_err(|wait| TooMany { wait })
    }

    /// A good key was shown where keys are not counted.
    pub fn know(&self, key_hash: &str) {
        self.state().know(key_hash);
    }

    /// No key, or none that is good.
    pub fn bad(&self, key_hash: Option<&str>, peer: Option<Peer>) {
        let mut state = self.state();
        if let Some(hash) = key_hash {
            state.good.remove(hash);
        }
        if let Some(peer) = peer {
            // When there is none left the next request is refused.
            let _ = state.addresses.take(&network(peer.0), Instant::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn know(&mut self, key_hash: &str) {
        if !self.good.contains(key_hash) {
            if self.good.len() >= MOST {
                self.good.clear();
            }
            self.good.insert(key_hash.to_owned());
        }
    }
}

/// One customer's IPv6 network has as many addresses as one likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer(address.parse().unwrap()))
    }

    #[test]
    fn an_address_that_guesses_is_refused_and_who_is_known_there_is_not() {
        let one = Rate { per_second: 1, burst: 2 };
        let limiter = Limiter::new(Rates { key: Rate::UNLIMITED, address: one });
        limiter.good("known").unwrap();
        for guess in ["a", "b"] {
            limiter.before(Some(guess), peer("2001:db8::1")).unwrap();
            limiter.bad(Some(guess), peer("2001:db8::1"));
        }
        let refused = limiter.before(Some("c"), peer("2001:db8::ffff:1")).unwrap_err();
        assert_eq!(refused.seconds(), 1);
        limiter.before(None, peer("2001:db8::2")).unwrap_err();
        limiter.before(Some("known"), peer("2001:db8::1")).unwrap();
        limiter.before(Some("c"), peer("2001:db8:0:1::1")).unwrap();
        limiter.before(Some("c"), None).unwrap();
        // A key that is not good any more is a guess like any other.
        limiter.bad(Some("known"), None);
        limiter.before(Some("known"), peer("2001:db8::1")).unwrap_err();
    }

    #[test]
    fn a_key_counts_alone() {
        let limiter = Limiter::new(Rates { key: Rate { per_second: 1, burst: 2 }, ..Rates::default() });
        limiter.good("a").unwrap();
        limiter.good("a").unwrap();
        assert!(limiter.good("a").unwrap_err().wait <= Duration::from_secs(1));
        limiter.good("b").unwrap();
    }
}
