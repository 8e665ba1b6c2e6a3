//! A client that is not ours: Debian's skopeo. A machine without it fails here: it is one of the tools
//! that the set-up installs.

use std::io::Write;
use std::process::Output;
use std::sync::Arc;

use oci::layer::MemoryLayer;
use oci::{Digest, ImageLayer, layout};

use crate::harness::*;

async fn skopeo(arguments: &[&str]) -> Output {
    let output = tokio::process::Command::new("skopeo").args(arguments).output().await;
    let output = output.unwrap_or_else(|error| panic!("skopeo cannot be run (package skopeo): {error}"));
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A layer that is compressed for real: skopeo compresses on the way what is not, and the digest changes.
fn gzip(text: &str) -> ImageLayer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap().into();
    ImageLayer::new(Arc::new(MemoryLayer::gzip(bytes, Digest::of(text.as_bytes()))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_pushes_inspects_and_pulls() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
    let base = image(["system", "language", "shim"].map(gzip).to_vec());
    layout::write(&ours, &base).unwrap();
    let remote = format!("docker://{}/ns/skopeo:1", server.address);

    // Our layout, pushed by skopeo.
    let source = format!("oci:{}", ours.display());
    skopeo(&["copy", "--insecure-policy", "--dest-tls-verify=false", &source, &remote]).await;
    assert_eq!(server.disk.resolve("ns/skopeo", "1").unwrap().unwrap().2, base.digest());

    // What it says about it.
    let output = skopeo(&["inspect", "--tls-verify=false", &remote]).await;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["Digest"], base.digest().as_str());
    assert_eq!(said["RepoTags"], serde_json::json!(["1"]));
    assert_eq!(said["Layers"].as_array().unwrap().len(), 3);

    // Our push, pulled by skopeo into a layout that we read.
    let layers = base.layers.into_iter().map(|layer| from(layer, "ns/skopeo"));
    let image = image(layers.chain([gzip("dependencies"), gzip("code")]).collect());
    server.client().push(&image, &server.reference("ns/hello:1")).await.unwrap();
    let remote = format!("docker://{}/ns/hello:1", server.address);
    let target = format!("oci:{}", theirs.display());
    skopeo(&["copy", "--insecure-policy", "--src-tls-verify=false", &remote, &target]).await;
    let pulled = layout::read(&theirs).unwrap();
    assert_eq!(pulled.digest(), image.digest());
    layout::verify(&pulled).unwrap();
}
