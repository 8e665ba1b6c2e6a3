//! Executables: whether they need a loader, and cutting off what only a debugger reads.

use bytes::Bytes;

use super::tree::Tree;
use super::{BaseError, Recipe};
use crate::Architecture;

/// Program header type of a segment that names the dynamic loader.
const PT_INTERP: u32 = 3;
/// Size of the ELF header.
const HEADER: usize = 64;
/// Where the header keeps the section table's offset (8 bytes), and its entry count and name index (4 bytes).
const SECTION_OFFSET: std::ops::Range<usize> = 0x28..0x30;
const SECTION_COUNTS: std::ops::Range<usize> = 0x3c..0x40;

/// A segment as the program headers have it.
struct Segment {
    kind: u32,
    end: u64,
}

/// Whether these bytes are an executable for that machine which runs without a dynamic loader.
pub(crate) fn is_static_executable(bytes: &[u8], architecture: Architecture) -> bool {
    segments(bytes, architecture)
        .is_some_and(|segments| segments.iter().all(|segment| segment.kind != PT_INTERP))
}

/// Cuts the executables that the recipe names behind their last segment: symbols and debug sections are not loaded.
pub(crate) fn trim(tree: &mut Tree, recipe: &Recipe) -> Result<(), BaseError> {
    for path in &recipe.trim {
        let wrong = |what: &str| BaseError::Recipe {
            path: recipe.path.clone(),
            reason: format!("trim: {path} {what}"),
        };
        let bytes = tree.file_mut(path).ok_or_else(|| wrong("is not in the image"))?;
        *bytes = trimmed(bytes, recipe.architecture)
            .ok_or_else(|| wrong(&format!("is no executable for {}", recipe.architecture)))?;
    }
    Ok(())
}

fn trimmed(bytes: &[u8], architecture: Architecture) -> Option<Bytes> {
    let end = segments(bytes, architecture)?.iter().map(|segment| segment.end).max()?;
    let mut kept = bytes.get(..usize::try_from(end).ok()?)?.to_vec();
    kept.get_mut(SECTION_OFFSET)?.fill(0);
    kept.get_mut(SECTION_COUNTS)?.fill(0);
    Some(Bytes::from(kept))
}

/// The segments of a little-endian 64-bit file for that machine.
fn segments(bytes: &[u8], architecture: Architecture) -> Option<Vec<Segment>> {
    let header = bytes.get(..HEADER)?;
    if !header.starts_with(b"\x7fELF\x02\x01")
        || header[0x12..0x14] != architecture.elf_machine().to_le_bytes()
    {
        return None;
    }
    let offset = usize::try_from(number(header, 0x20)?).ok()?;
    let size = usize::from(u16::from_le_bytes([header[0x36], header[0x37]]));
    let count = usize::from(u16::from_le_bytes([header[0x38], header[0x39]]));
    let table = bytes.get(offset..offset.checked_add(size.checked_mul(count)?)?)?;
    if size < 56 || count == 0 {
        return None;
    }
    table
        .chunks_exact(size)
        .map(|entry| {
            let kind = u32::from_le_bytes(entry[..4].try_into().ok()?);
            let end = number(entry, 0x08)?.checked_add(number(entry, 0x20)?)?;
            Some(Segment { kind, end })
        })
        .collect()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One segment of type `kind` over all of the first 200 bytes, and 50 bytes behind it.
    fn executable(kind: u32) -> Vec<u8> {
        let mut bytes = vec![1_u8; 250];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[0x12..0x14].copy_from_slice(&[62, 0]);
        bytes[0x20..0x28].copy_from_slice(&64_u64.to_le_bytes());
        bytes[0x36..0x3a].copy_from_slice(&[56, 0, 1, 0]);
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes[72..80].copy_from_slice(&0_u64.to_le_bytes());
        bytes[96..104].copy_from_slice(&200_u64.to_le_bytes());
        bytes
    }

    #[test]
    fn what_lies_behind_the_segments_is_cut() {
        let kept = trimmed(&executable(1), Architecture::Amd64).unwrap();
        assert_eq!(kept.len(), 200);
        assert!(kept[SECTION_OFFSET].iter().chain(&kept[SECTION_COUNTS]).all(|b| *b == 0));
    }

    #[test]
    fn a_loader_makes_it_dynamic() {
        let amd64 = |bytes: &[u8]| is_static_executable(bytes, Architecture::Amd64);
        assert!(amd64(&executable(1)));
        assert!(!amd64(&executable(PT_INTERP)));
        assert!(!amd64(b"#!/bin/sh\n"));
    }

    #[test]
    fn an_executable_of_another_machine_is_none() {
        assert!(!is_static_executable(&executable(1), Architecture::Arm64));
        let mut arm = executable(1);
        arm[0x12] = 183;
        assert!(is_static_executable(&arm, Architecture::Arm64));
    }

    #[test]
    fn no_truncation_panics() {
        let whole = executable(1);
        for length in 0..200 {
            assert!(trimmed(&whole[..length], Architecture::Amd64).is_none(), "{length}");
        }
    }
}
