//! The machines that images are made for.

use std::fmt;
use std::str::FromStr;

/// An architecture, named as OCI images and Go name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one that this program was compiled for.
    pub const HOST: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 };

    /// `amd64`, as in an image's configuration, `GOARCH` and Debian's package names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// `x86_64-linux-gnu`: the folder of Debian's libraries.
    pub(crate) fn triplet(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The number in an executable's header.
    pub(crate) fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no such architecture. `Display` is the sentence a user reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no architecture {0:?}; there are: amd64 (also x86_64), arm64 (also aarch64)")]
pub struct NoSuchArchitecture(String);

impl FromStr for Architecture {
    type Err = NoSuchArchitecture;

    /// `amd64`, `arm64`, the kernel's names for them, or a platform (`linux/arm64`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("linux/").unwrap_or(text) {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "aarch64" | "arm64/v8" => Ok(Self::Arm64),
            _ => Err(NoSuchArchitecture(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_and_platforms_are_read_by_their_usual_names() {
        for (text, architecture) in [
            ("amd64", Architecture::Amd64),
            ("x86_64", Architecture::Amd64),
            ("arm64", Architecture::Arm64),
            ("linux/arm64", Architecture::Arm64),
            ("linux/arm64/v8", Architecture::Arm64),
        ] {
            assert_eq!(text.parse(), Ok(architecture), "{text}");
        }
        for bad in ["", "arm", "windows/amd64", "linux/"] {
            assert!(bad.parse::<Architecture>().is_err(), "{bad}");
        }
    }
}
