//! Request ids: the caller's where it is well-formed, else one of the shim's own making (a UUID, version 4).

use contract::event::{X_REQUEST_ID, is_request_id};
use hyper::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};

/// The id of a request with these headers.
pub(crate) fn of(headers: &HeaderMap) -> String {
    let said = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    said.filter(|id| is_request_id(id)).map_or_else(new, str::to_owned)
}

fn new() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness the id would only be less unique, and nothing rests on its secrecy.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
