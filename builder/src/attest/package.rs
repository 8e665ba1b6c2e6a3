//! One package in an image.

use crate::base::{Archive, Locked};

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Who numbers its versions.
    pub ecosystem: Ecosystem,
    /// Its name there.
    pub name: String,
    /// Its version; empty when it has none.
    pub version: String,
    /// Its licence, when it names one that SPDX has an identifier for.
    pub license: Option<String>,
    /// Algorithm and hexadecimal digest of what it was unpacked from, as SPDX names them.
    pub checksum: Option<(&'static str, String)>,
    /// How it is in the image.
    pub presence: Presence,
}

/// Who numbers the versions of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// Debian.
    Debian,
    /// Go modules, and Go itself.
    Go,
    /// npm.
    Npm,
    /// PyPI.
    Python,
}

/// How a package is in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Its files are there.
    Contained,
    /// A lock file of the function says so; its files may be bundled into others.
    Locked,
}

/// Licences that packages name as SPDX does. What else they write is not passed on: it may be anything.
const LICENSES: [&str; 22] = [
    "0BSD",
    "AFL-2.1",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BlueOak-1.0.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC0-1.0",
    "ISC",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OFL-1.1",
    "PSF-2.0",
    "Python-2.0",
    "Unlicense",
    "WTFPL",
    "Zlib",
];

impl Package {
    /// A package whose files are there.
    pub(super) fn new(ecosystem: Ecosystem, name: &str, version: &str) -> Self {
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { ecosystem, name, version, license: None, checksum: None, presence: Presence::Contained }
    }

    /// With the licence it names, when SPDX knows that.
    pub(super) fn licensed(mut self, license: Option<&str>) -> Self {
        let known = |license: &&str| LICENSES.contains(license);
        self.license = license.map(str::trim).filter(known).map(str::to_owned);
        self
    }

    /// Its package URL.
    #[must_use]
    pub fn url(&self) -> String {
        let path: Vec<String> = self.name.split('/').map(encoded).collect();
        let (kind, name) = match self.ecosystem {
            Ecosystem::Debian => ("deb/debian", path.join("/")),
            Ecosystem::Go => ("golang", path.join("/")),
            Ecosystem::Npm => ("npm", path.join("/")),
            // Python's names are the same in any case, with any separator.
            Ecosystem::Python => ("pypi", encoded(&self.name.to_lowercase().replace(['_', '.'], "-"))),
        };
        match self.version.as_str() {
            "" => format!("pkg:{kind}/{name}"),
            version => format!("pkg:{kind}/{name}@{}", encoded(version)),
        }
    }
}

/// An archive that the base's recipe unpacked.
pub(super) fn of_base(locked: Locked) -> Package {
    let ecosystem = match locked.archive {
        Archive::Deb => Ecosystem::Debian,
        Archive::Npm => Ecosystem::Npm,
        Archive::Wheel => Ecosystem::Python,
    };
    let checksum = Some(("SHA256", locked.sha256));
    Package { checksum, ..Package::new(ecosystem, &locked.name, &locked.version) }
}

/// Percent-encoded as package URLs want it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().fold(String::new(), |mut all, byte| {
        if plain(byte) {
            all.push(char::from(byte));
        } else {
            all.push_str(&format!("%{byte:02X}"));
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls() {
        let url = |ecosystem, name, version| Package::new(ecosystem, name, version).url();
        assert_eq!(url(Ecosystem::Npm, "@types/node", "1.0.0"), "pkg:npm/%40types/node@1.0.0");
        assert_eq!(url(Ecosystem::Python, "Flask_Login", "1.0+x"), "pkg:pypi/flask-login@1.0%2Bx");
        assert_eq!(url(Ecosystem::Debian, "libc6", "1:2.36-9"), "pkg:deb/debian/libc6@1%3A2.36-9");
        assert_eq!(url(Ecosystem::Go, "github.com/a/b", ""), "pkg:golang/github.com/a/b");
    }
}
