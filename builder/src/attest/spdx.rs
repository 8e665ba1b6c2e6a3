//! The list of contents as SPDX 2.3 has it, in JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::package::{Ecosystem, Package, Presence};
use super::{Facts, provenance};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const BASE: &str = "SPDXRef-Base";
const UNKNOWN: &str = "NOASSERTION";
/// A document must have a time: the same for the same build.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// When the document says that it was made.
pub(super) fn created(facts: &Facts<'_>) -> String {
    facts.created.unwrap_or(EPOCH).to_owned()
}

pub(super) fn document(facts: &Facts<'_>, packages: &[Package]) -> Vec<u8> {
    let digest = facts.image.digest();
    let mut described = vec![image(facts), base(facts)];
    let mut relations = vec![relation(DOCUMENT, "DESCRIBES", IMAGE), relation(IMAGE, "DESCENDANT_OF", BASE)];
    let mut ids = Ids::default();
    for package in packages {
        let id = ids.of(package);
        let how = match package.presence {
            Presence::Contained => "CONTAINS",
            Presence::Locked => "DEPENDS_ON",
        };
        relations.push(relation(IMAGE, how, &id));
        described.push(entry(package, &id));
    }
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": format!("function image {digest}"),
        // Names this document and no other: the image's digest does.
        "documentNamespace": format!("https://spdx.org/spdxdocs/zipship-{}", digest.hex()),
        "creationInfo": {
            "created": created(facts),
            "creators": [format!("Tool: zipship-{}", provenance::VERSION)],
        },
        "packages": described,
        "relationships": relations,
    });
    let mut bytes = format!("{document:#}").into_bytes();
    bytes.push(b'\n');
    bytes
}

fn image(facts: &Facts<'_>) -> Value {
    let digest = facts.image.digest();
    let mut package = plain(IMAGE, &format!("{} ({})", facts.handler, facts.runtime), digest.as_str());
    package["primaryPackagePurpose"] = "CONTAINER".into();
    package["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": digest.hex() }]);
    package
}

fn base(facts: &Facts<'_>) -> Value {
    let digest = facts.origin.map_or(&facts.base.digest, |origin| &origin.digest);
    let mut package = plain(BASE, &facts.base_name(), digest.as_str());
    package["primaryPackagePurpose"] = "CONTAINER".into();
    if facts.origin.is_some() {
        package["comment"] = "The packages of this image are not listed here.".into();
    }
    package
}

fn entry(package: &Package, id: &str) -> Value {
    let mut entry = plain(id, &package.name, &package.version);
    if let Some(license) = &package.license {
        entry["licenseDeclared"] = license.as_str().into();
    }
    if let Some((algorithm, value)) = &package.checksum {
        entry["checksums"] = json!([{ "algorithm": algorithm, "checksumValue": value }]);
    }
    entry["externalRefs"] = json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": package.url(),
    }]);
    entry
}

/// A package of which nothing else is known.
fn plain(id: &str, name: &str, version: &str) -> Value {
    let mut package = json!({
        "SPDXID": id,
        "name": name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
    });
    if !version.is_empty() {
        package["versionInfo"] = version.into();
    }
    package
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

/// Identifiers of packages in the document: letters, digits, `.` and `-`, each once.
#[derive(Default)]
struct Ids(BTreeMap<String, u32>);

impl Ids {
    fn of(&mut self, package: &Package) -> String {
        let ecosystem = match package.ecosystem {
            Ecosystem::Debian => "deb",
            Ecosystem::Go => "go",
            Ecosystem::Npm => "npm",
            Ecosystem::Python => "pypi",
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let id: String =
            format!("SPDXRef-{ecosystem}-{}-{}", package.name, package.version).chars().map(plain).collect();
        let count = self.0.entry(id.clone()).or_default();
        *count += 1;
        if *count == 1 { id } else { format!("{id}-again-{count}") }
    }
}
