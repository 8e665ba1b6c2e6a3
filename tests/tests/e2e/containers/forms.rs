//! The forms in which images come: layers packed with zstd, and indexes with more in them than this machine's image.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::json;
use zipship_tests::{Answer, Container, Server};

use super::{PROGRAM, Workshop, namespace};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_podman_packs_with_zstd_are_run() -> anyhow::Result<()> {
    let server = Server::start()?;
    let workshop = Workshop::new(&server);
    workshop.login("podman");
    let (namespace, endpoint) = namespace(server.api(), "zstd").await?;
    for (name, compression) in [("plain", "zstd"), ("chunked", "zstd:chunked")] {
        let image = workshop.image(name, &[PROGRAM, &["--config.env", &format!("ANSWER={name}")]].concat());
        let container = Container::create(server.api(), &namespace, name, &json!({})).await?;
        workshop.push_packed(&image, &container.image, compression);
        let manifest = manifest(&server, &format!("zstd/{name}"), "latest").await?.expect(200);
        let layers = manifest["layers"].as_array().unwrap();
        assert!(
            !layers.is_empty()
                && layers.iter().all(|one| one["mediaType"].as_str().unwrap().ends_with("+zstd")),
            "{manifest}"
        );
        container.deployed().await?;
        assert_eq!(container.call("").await?.text(), name, "{endpoint}");
    }
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_index_this_machines_image_is_taken_whatever_else_is_in_it() -> anyhow::Result<()> {
    let server = Server::start()?;
    let workshop = Workshop::new(&server);
    workshop.login("skopeo");
    let (namespace, endpoint) = namespace(server.api(), "several").await?;
    let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let other = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let mut entries = Vec::new();
    for (tag, architecture) in [("other", other), ("here", here)] {
        let settings = ["--architecture", architecture, "--config.env", "ANSWER=this"];
        workshop.push(&workshop.image(tag, &[PROGRAM, &settings].concat()), &format!("{endpoint}/c:{tag}"));
        let document = manifest(&server, "several/c", tag).await?;
        let digest = document.header("docker-content-digest");
        entries.push(json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": document.text().len(),
            "platform": {"architecture": architecture, "os": "linux"}}));
    }
    // What builders put beside an image to say how it was made.
    let mut attestation = entries[0].clone();
    attestation["platform"] = json!({"architecture": "unknown", "os": "unknown"});
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    entries.insert(0, attestation);
    for (name, media_type) in [("oci", OCI_INDEX), ("docker", DOCKER_INDEX)] {
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        let url = format!("{}/v2/several/c/manifests/{name}", server.api().url());
        let put = server.api().request(Method::PUT, &url).basic_auth("x", Some(server.api().key()));
        let stored = Answer::of(put.header(CONTENT_TYPE, media_type).body(index.to_string())).await?;
        assert_eq!(stored.status, 201, "{}", stored.text());
        let fields = json!({"registry_image": format!("{endpoint}/c:{name}")});
        let container = Container::create(server.api(), &namespace, name, &fields).await?;
        container.deployed().await?;
        assert_eq!(container.call("").await?.text(), "this", "{name}");
    }
    server.stop()
}

/// A manifest of the server's registry.
async fn manifest(server: &Server, repository: &str, tag: &str) -> anyhow::Result<Answer> {
    let url = format!("{}/v2/{repository}/manifests/{tag}", server.api().url());
    let get = server.api().request(Method::GET, &url).basic_auth("x", Some(server.api().key()));
    Answer::of(get.header("accept", OCI_MANIFEST)).await
}
