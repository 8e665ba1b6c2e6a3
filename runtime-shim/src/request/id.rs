//! Request ids of the shim's own making: UUIDs, version 4.

use ring::rand::{SecureRandom, SystemRandom};

pub(crate) fn new() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness the id would only be less unique, and nothing rests on its secrecy.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
