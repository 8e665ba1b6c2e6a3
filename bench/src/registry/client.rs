//! The smallest client there is: what a push and a pull ask, no more.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Client, Method, RequestBuilder, Response, Url, header};
use serde_json::json;
use sha2::{Digest, Sha256};
use zipship_tests::DockerRegistry;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A blob with its digest.
struct Blob {
    digest: String,
    bytes: bytes::Bytes,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { digest: format!("sha256:{hex}"), bytes: bytes.into() }
    }
}

/// An image of one layer.
pub(super) struct Image {
    layer: Blob,
    config: Blob,
    manifest: Blob,
}

impl Image {
    /// One that no registry has.
    pub(super) fn fresh(layer: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut state = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let layer = Blob::new(noise.take(layer).collect());
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.digest]}});
        let config = Blob::new(config.to_string().into_bytes());
        let described = |media_type, blob: &Blob| json!({"mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        Self { layer, config, manifest: Blob::new(manifest.to_string().into_bytes()) }
    }
}

/// Where images go, and how it is reached.
pub(super) struct Repository {
    client: Client,
    /// `http://host:port/v2/name/`.
    url: Url,
    authorization: Option<String>,
    /// Serves as long as this is there.
    _registry: Option<DockerRegistry>,
}

impl Repository {
    /// Of `host:port/name`, with the key that opens it.
    pub(super) fn new(name: &str, key: Option<&str>) -> anyhow::Result<Self> {
        let (host, name) = name.split_once('/').context("a host and a name")?;
        let authorization = key.map(|key| format!("Basic {}", STANDARD.encode(format!("nologin:{key}"))));
        let client = Client::builder().no_proxy().build()?;
        let url = Url::parse(&format!("http://{host}/v2/{name}/"))?;
        Ok(Self { client, url, authorization, _registry: None })
    }

    pub(super) fn keep(self, registry: DockerRegistry) -> Self {
        Self { _registry: Some(registry), ..self }
    }

    /// How many requests it took.
    pub(super) async fn push(&self, image: &Image) -> anyhow::Result<usize> {
        for blob in [&image.layer, &image.config] {
            let begun = answered(self.request(Method::POST, self.url.join("blobs/uploads/")?), 202).await?;
            let location = begun.headers().get(header::LOCATION).context("a Location")?.to_str()?;
            let mut location = begun.url().join(location)?;
            location.query_pairs_mut().append_pair("digest", &blob.digest);
            answered(self.request(Method::PUT, location).body(blob.bytes.clone()), 201).await?;
        }
        let manifest =
            self.request(Method::PUT, self.manifest(image)?).header(header::CONTENT_TYPE, MANIFEST);
        answered(manifest.body(image.manifest.bytes.clone()), 201).await?;
        Ok(5)
    }

    /// How many requests it took.
    pub(super) async fn pull(&self, image: &Image) -> anyhow::Result<usize> {
        let manifest = self.request(Method::GET, self.manifest(image)?).header(header::ACCEPT, MANIFEST);
        let blob = |blob: &Blob| anyhow::Ok(self.url.join(&format!("blobs/{}", blob.digest))?);
        let (config, layer) = (blob(&image.config)?, blob(&image.layer)?);
        for (request, expected) in [
            (manifest, &image.manifest),
            (self.request(Method::GET, config), &image.config),
            (self.request(Method::GET, layer), &image.layer),
        ] {
            let got = answered(request, 200).await?.bytes().await?;
            ensure!(got == expected.bytes, "other bytes came back");
        }
        Ok(3)
    }

    fn manifest(&self, image: &Image) -> anyhow::Result<Url> {
        Ok(self.url.join(&format!("manifests/{}", image.manifest.digest))?)
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        }
    }
}

async fn answered(request: RequestBuilder, wanted: u16) -> anyhow::Result<Response> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    if status != wanted {
        anyhow::bail!("{} answered {status}: {}", response.url().clone(), response.text().await?);
    }
    Ok(response)
}
