//! Request ids: the caller's where it is well-formed, else one of the shim's own making (a UUID, version 4).

use std::cell::RefCell;
use std::sync::Arc;

use contract::event::{X_REQUEST_ID, is_request_id};
use hyper::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of an id.
const SIZE: usize = 16;

thread_local! {
    /// Random bytes for the next ids: asking the kernel for each would cost more than all else here.
    static RANDOM: RefCell<Random> = const { RefCell::new(Random { bytes: [0; 256 * SIZE], used: 256 * SIZE }) };
}

struct Random {
    bytes: [u8; 256 * SIZE],
    used: usize,
}

/// The id of a request with these headers.
pub(crate) fn of(headers: &HeaderMap) -> Arc<str> {
    let said = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    said.filter(|id| is_request_id(id)).map_or_else(new, Arc::from)
}

pub(crate) fn new() -> Arc<str> {
    let mut bytes = RANDOM.with_borrow_mut(Random::next);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = [b'-'; 36];
    let places = (0..36).filter(|place| !matches!(place, 8 | 13 | 18 | 23));
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    for (place, digit) in places.zip(digits) {
        text[place] = b"0123456789abcdef"[usize::from(digit)];
    }
    std::str::from_utf8(&text).unwrap_or_default().into()
}

impl Random {
    fn next(&mut self) -> [u8; SIZE] {
        if self.used == self.bytes.len() {
            // Without randomness ids would only be less unique, and nothing rests on their secrecy.
            let _ = SystemRandom::new().fill(&mut self.bytes);
            self.used = 0;
        }
        let from = self.used;
        self.used += SIZE;
        self.bytes[from..self.used].try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_uuids_and_none_comes_twice() {
        let ids: HashSet<Arc<str>> = (0..2000).map(|_| of(&HeaderMap::new())).collect();
        assert_eq!(ids.len(), 2000);
        for id in ids {
            let uuid = id.len() == 36 && id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]);
            assert!(uuid && is_request_id(&id), "{id}");
        }
    }
}
