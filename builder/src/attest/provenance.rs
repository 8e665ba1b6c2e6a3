//! How an image was made, as a statement of in-toto with SLSA's predicate. Nothing of the machine or its user is in
//! it, and no time unless the caller names one.

use serde_json::{Value, json};

use super::Facts;

/// The predicate's type.
pub(super) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// This builder's version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Says what the parameters below mean.
const BUILD_TYPE: &str = "urn:zipship:build:function:v1";
const BUILDER: &str = "urn:zipship:builder";

pub(super) fn statement(facts: &Facts<'_>) -> Vec<u8> {
    let platform = format!("linux/{}", facts.base.architecture.name());
    let mut parameters = json!({
        "runtime": facts.runtime.to_string(),
        "handler": facts.handler,
        "platform": platform,
        "precompile": facts.precompiled,
    });
    if let Some(origin) = facts.origin {
        parameters["base"] = origin.name.as_str().into();
    }
    let metadata = match facts.created {
        Some(created) => json!({ "startedOn": created, "finishedOn": created }),
        None => json!({}),
    };
    let statement = json!({
        "_type": STATEMENT,
        "subject": [{ "name": "image", "digest": digest(&facts.image.digest()) }],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {},
                "resolvedDependencies": dependencies(facts),
            },
            "runDetails": {
                "builder": { "id": BUILDER, "version": { "zipship": VERSION } },
                "metadata": metadata,
            },
        },
    });
    let mut bytes = format!("{statement:#}").into_bytes();
    bytes.push(b'\n');
    bytes
}

/// What the image was made of.
fn dependencies(facts: &Facts<'_>) -> Vec<Value> {
    let archive = oci::Digest::of(facts.archive);
    let base = facts.origin.map_or(&facts.base.digest, |origin| &origin.digest);
    let mut all = vec![
        json!({ "name": "archive", "digest": digest(&archive), "mediaType": "application/zip" }),
        json!({ "name": facts.base_name(), "digest": digest(base) }),
    ];
    if let Some(index) = facts.origin.and_then(|origin| origin.index.as_ref()) {
        all.push(json!({ "name": format!("{} (index)", facts.base_name()), "digest": digest(index) }));
    }
    if let Some(program) = facts.program {
        let version = program.toolchain.strip_prefix("go").unwrap_or(&program.toolchain);
        all.push(json!({ "name": "go", "uri": format!("pkg:golang/toolchain@{version}") }));
    }
    all
}

/// As in-toto writes a digest.
fn digest(digest: &oci::Digest) -> Value {
    json!({ digest.algorithm().name(): digest.hex() })
}
