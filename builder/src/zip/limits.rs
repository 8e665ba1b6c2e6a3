//! How much an archive may be, and the names under which commands and the server's configuration set it.

use std::time::Duration;

/// Limits of an archive, all of them enforced before or while it is decoded. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// The archive itself.
    pub archive_bytes: u64,
    /// Number of entries, directories included.
    pub entries: u64,
    /// All entries, unpacked.
    pub unpacked_bytes: u64,
    /// One entry, unpacked.
    pub file_bytes: u64,
    /// Unpacked size of all entries over the archive's size; judged above [`ratio_from`](Self::ratio_from).
    pub ratio: u64,
    /// Unpacked over compressed size of one entry; judged above [`ratio_from`](Self::ratio_from).
    pub file_ratio: u64,
    /// Unpacked bytes up to which no ratio is judged: small and very regular files are ordinary.
    pub ratio_from: u64,
    /// One entry's name.
    pub path_bytes: usize,
    /// Components of one entry's name.
    pub depth: usize,
    /// All entries' names together.
    pub names_bytes: u64,
    /// How long decoding may take.
    pub decode_time: Duration,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            archive_bytes: 100 << 20,
            entries: 100_000,
            unpacked_bytes: 500 << 20,
            file_bytes: 500 << 20,
            ratio: 200,
            // Deflate reaches 1032 at the very most; a file of zeros is legal, so only lies are refused.
            file_ratio: 1100,
            ratio_from: 16 << 20,
            path_bytes: 1024,
            depth: 64,
            names_bytes: 16 << 20,
            decode_time: Duration::from_secs(120),
        }
    }
}

/// A limit by its name.
#[derive(Debug)]
pub struct Limit {
    /// As in `--limit NAME=VALUE` and in refusals.
    pub name: &'static str,
    /// What it bounds.
    pub about: &'static str,
    get: fn(&ArchiveLimits) -> u64,
    set: fn(&mut ArchiveLimits, u64),
}

/// A limit whose field has the name's words.
macro_rules! limit {
    ($name:literal, $field:ident, $about:literal) => {
        Limit {
            name: $name,
            about: $about,
            get: |limits| limits.$field as u64,
            set: |limits, value| limits.$field = value as _,
        }
    };
}

/// All limits.
pub const LIMITS: [Limit; 11] = [
    limit!("archive-bytes", archive_bytes, "bytes of the archive"),
    limit!("entries", entries, "entries, directories included"),
    limit!("unpacked-bytes", unpacked_bytes, "bytes of all files, unpacked"),
    limit!("file-bytes", file_bytes, "bytes of one file, unpacked"),
    limit!("ratio", ratio, "unpacked over packed size of the archive"),
    limit!("file-ratio", file_ratio, "unpacked over packed size of one file"),
    limit!("ratio-from", ratio_from, "unpacked bytes up to which no ratio is judged"),
    limit!("path-bytes", path_bytes, "bytes of one name"),
    limit!("depth", depth, "components of one name"),
    limit!("names-bytes", names_bytes, "bytes of all names"),
    Limit {
        name: "decode-seconds",
        about: "seconds that unpacking may take",
        get: |limits| limits.decode_time.as_secs(),
        set: |limits, value| limits.decode_time = Duration::from_secs(value),
    },
];

/// Why a text sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// Not `NAME=VALUE`.
    #[error("write NAME=VALUE, such as file-bytes=200M")]
    Form,
    /// No limit of that name.
    #[error("there is no limit {name:?}; there are: {}", LIMITS.map(|limit| limit.name).join(", "))]
    Name {
        /// The name.
        name: String,
    },
    /// Not a number.
    #[error("{value:?} is no number; write one above 0, with k, M or G for 1024, 1024² or 1024³")]
    Value {
        /// The text.
        value: String,
    },
}

impl Limit {
    /// The limit's value: a number of what [`about`](Self::about) says.
    #[must_use]
    pub fn of(&self, limits: &ArchiveLimits) -> u64 {
        (self.get)(limits)
    }
}

impl ArchiveLimits {
    /// Sets one limit by `NAME=VALUE`.
    ///
    /// # Errors
    /// [`InvalidLimit`], which says what to write.
    pub fn set(&mut self, text: &str) -> Result<(), InvalidLimit> {
        let (name, value) = text.split_once('=').ok_or(InvalidLimit::Form)?;
        let unknown = || InvalidLimit::Name { name: name.to_owned() };
        let limit = LIMITS.into_iter().find(|limit| limit.name == name).ok_or_else(unknown)?;
        (limit.set)(self, number(value).ok_or_else(|| InvalidLimit::Value { value: value.to_owned() })?);
        Ok(())
    }
}

fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_set_by_its_name_and_no_other_moves() {
        let all = ArchiveLimits::default();
        for limit in LIMITS {
            let mut changed = all;
            changed.set(&format!("{}=7", limit.name)).unwrap();
            for other in LIMITS {
                let expected = if other.name == limit.name { 7 } else { other.of(&all) };
                assert_eq!(other.of(&changed), expected, "{} after {}=7", other.name, limit.name);
            }
        }
    }

    #[test]
    fn numbers_have_units_and_what_is_none_is_said() {
        let mut limits = ArchiveLimits::default();
        limits.set("archive-bytes=3G").unwrap();
        assert_eq!(limits.archive_bytes, 3 << 30);
        limits.set("path-bytes=2k").unwrap();
        assert_eq!(limits.path_bytes, 2048);
        assert_eq!(limits.set("depth"), Err(InvalidLimit::Form));
        assert!(limits.set("size=1").unwrap_err().to_string().contains("file-bytes"));
        for wrong in ["", "k", "-1", "0", "1T", "1.5M", "é", "99999999999999999999", "18446744073709551615k"]
        {
            assert_eq!(
                limits.set(&format!("entries={wrong}")),
                Err(InvalidLimit::Value { value: wrong.to_owned() })
            );
        }
    }
}
