//! Names and documents of images, as registries and other builders write them.

use oci::config::ImageConfig;
use oci::manifest::{Index, Manifest};
use oci::{Digest, Reference};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A manifest, an index, an image's configuration, a reference, a digest: whatever the bytes are.
///
/// # Panics
/// When what was read and is written again is read otherwise.
pub(crate) fn documents(bytes: &[u8]) {
    settles::<Manifest>(bytes);
    settles::<Index>(bytes);
    settles::<ImageConfig>(bytes);
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(reference.to_string(), text);
        assert!(!reference.repository.split('/').any(|part| matches!(part, "" | "." | "..")), "{text}");
    }
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.as_str(), text);
        assert!(digest.hex().bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    }
}

fn settles<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, value, "{}", String::from_utf8_lossy(&written));
}
