//! The framing of connections for the fuzzers.

use super::framing::{Framing, Stage, Violation};

/// Short, so that inputs reach it.
const LONGEST_HEAD: usize = 1 << 10;

/// The first byte says how the others are cut, as a socket might.
///
/// # Panics
/// When what is refused, or waited for, depends on how the bytes were cut.
pub(crate) fn run(bytes: &[u8]) {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let whole = follow(bytes, bytes.len().max(1));
    assert_eq!(follow(bytes, usize::from(cut) + 1), whole, "cut by {cut}");
    assert_eq!(follow(bytes, 1), whole, "byte by byte");
}

fn follow(bytes: &[u8], cut: usize) -> Result<Stage, Violation> {
    let mut framing = Framing::new(LONGEST_HEAD);
    for piece in bytes.chunks(cut) {
        let passed = framing.read(piece).map_err(|refused| {
            assert!(refused.at <= piece.len(), "what lies before it was read");
            refused.violation
        })?;
        assert!(passed <= piece.len(), "what is passed on was read");
    }
    Ok(framing.stage())
}
