//! An archive goes to the server: through the presigned URL, as any other client sends it.

use std::path::Path;

use anyhow::{Context as _, bail};
use builder::zip::ArchiveLimits;
use bytes::Bytes;
use contract::api::PresignedUrl;
use reqwest::Method;
use serde::Deserialize as _;
use zip::CompressionMethod;

use super::build::pack;
use super::resource::Steps;
use crate::api::Api;

/// Uploads a zip, or a directory as one, for a function's next deploy. The answer is how many bytes it was.
pub(super) async fn upload(
    api: &Api,
    function_id: &str,
    source: &Path,
    steps: &Steps,
) -> anyhow::Result<usize> {
    steps.now("packing");
    let (archive, _) = pack::archive(source, ArchiveLimits::default(), CompressionMethod::Deflated)?;
    let size = archive.len();
    steps.now(&format!("uploading {:.1} MB", size as f64 / 1e6));
    let path = format!("functions/{function_id}/upload-url?content_length={size}");
    let signed = PresignedUrl::deserialize(api.call(Method::GET, &path, None).await?)?;
    let mut request = api.http().put(&signed.url);
    for (name, values) in &signed.headers {
        request = values.iter().fold(request, |request, value| request.header(name, value));
    }
    let response = request.body(Bytes::from_owner(archive)).send().await.context("uploading the archive")?;
    if response.status() != 200 {
        let (status, text) = (response.status(), response.text().await.unwrap_or_default());
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        bail!("the upload was answered {status}: {}", answer["message"].as_str().unwrap_or(&text));
    }
    Ok(size)
}
