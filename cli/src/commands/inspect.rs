//! `zipship inspect`: what an image is, in a registry or in a layout.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use oci::artifact::artifact_type;
use oci::client::Client;
use oci::config::ImageConfig;
use oci::layout::Stored;
use oci::manifest::{DOCKER_INDEX, Descriptor, Index, Manifest, OCI_INDEX};
use oci::{Digest, Reference};
use serde_json::{Value, json};

use super::registry::{Access, EXIT_REGISTRY, wait};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the layout cannot be read (the reason is on standard error), \
    2 wrong arguments, 3 the registry failed or refused.";

/// Shows an image: its layers, and what its configuration says; of an index, the images in it.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Inspect {
    /// registry/repository:tag, or the directory of an OCI image layout.
    #[arg(value_name = "REFERENCE|DIR")]
    image: String,
    #[command(flatten)]
    access: Access,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What a name stands for.
enum Seen {
    Image(Box<Documents>),
    Several(Several),
}

/// An index of images for several machines.
struct Several {
    digest: Digest,
    media_type: String,
    index: Index,
    attached: Vec<Descriptor>,
}

/// The documents of an image.
struct Documents {
    digest: Digest,
    media_type: String,
    manifest: Manifest,
    config: ImageConfig,
    /// Documents about it.
    attached: Vec<Descriptor>,
}

/// Runs the sub-command.
pub(crate) fn run(arguments: &Inspect) -> anyhow::Result<ExitCode> {
    let directory = Path::new(&arguments.image);
    let seen = if directory.is_dir() {
        of_layout(directory)?
    } else {
        let reference: Reference = arguments.image.parse().context("not a directory, and no reference")?;
        match of_registry(&reference, &arguments.access) {
            Ok(seen) => seen,
            Err(error) => {
                eprintln!("error: {reference}: {error:#}");
                return Ok(ExitCode::from(EXIT_REGISTRY));
            }
        }
    };
    match (&seen, arguments.json) {
        (Seen::Image(image), true) => println!("{}", serde_json::to_string_pretty(&described(image))?),
        (Seen::Image(image), false) => tell(image),
        (Seen::Several(several), true) => println!("{}", serde_json::to_string_pretty(&several.described())?),
        (Seen::Several(several), false) => several.tell(),
    }
    Ok(ExitCode::SUCCESS)
}

fn of_layout(directory: &Path) -> anyhow::Result<Seen> {
    let about = || format!("reading the layout {}", directory.display());
    let attached = oci::layout::attachments(directory).with_context(about)?;
    let attached: Vec<_> = attached.into_iter().map(|attachment| attachment.descriptor).collect();
    let image = match oci::layout::open(directory).with_context(about)? {
        Stored::Image(image) => image,
        Stored::Index(all) => {
            let index = serde_json::from_slice(&all.bytes).with_context(about)?;
            let (digest, media_type) = (all.digest(), all.media_type);
            return Ok(Seen::Several(Several { digest, media_type, index, attached }));
        }
    };
    Ok(Seen::Image(Box::new(Documents {
        digest: image.digest(),
        media_type: image.media_type.clone(),
        manifest: image.parsed_manifest().with_context(about)?,
        config: image.parsed_config().with_context(about)?,
        attached,
    })))
}

fn of_registry(reference: &Reference, access: &Access) -> anyhow::Result<Seen> {
    let client = access.client(reference)?;
    wait(async {
        let (bytes, media_type, digest) = client.manifest(reference).await?;
        if [OCI_INDEX, DOCKER_INDEX].contains(&media_type.as_str()) {
            let index: Index = serde_json::from_slice(&bytes).context("the index")?;
            let mut attached = attached_to(&client, reference, &digest).await;
            for one in &index.manifests {
                attached.extend(attached_to(&client, reference, &one.digest).await);
            }
            return Ok(Seen::Several(Several { digest, media_type, index, attached }));
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).context("the manifest")?;
        let mut config = Vec::new();
        client.blob(reference, &manifest.config.digest, &mut config).await?;
        let config = serde_json::from_slice(&config).context("the configuration")?;
        let attached = attached_to(&client, reference, &digest).await;
        Ok(Seen::Image(Box::new(Documents { digest, media_type, manifest, config, attached })))
    })?
}

/// Documents about an image. A registry that does not list them has none to show.
async fn attached_to(client: &Client, reference: &Reference, digest: &Digest) -> Vec<Descriptor> {
    client.referrers(reference, digest).await.unwrap_or_else(|error| {
        tracing::debug!(%digest, %error, "no list of what is attached");
        Vec::new()
    })
}

fn tell_attached(attached: &[Descriptor]) {
    for one in attached {
        let kind = artifact_type(one).unwrap_or(&one.media_type);
        println!("attached    {} {kind}", one.digest);
    }
}

fn attached_described(attached: &[Descriptor]) -> Value {
    let one = |one: &Descriptor| {
        json!({
            "digest": one.digest,
            "bytes": one.size,
            "artifact_type": artifact_type(one),
            "annotations": one.annotations,
        })
    };
    attached.iter().map(one).collect()
}

impl Several {
    fn described(&self) -> Value {
        json!({
            "digest": self.digest,
            "media_type": self.media_type,
            "images": self.index.manifests,
            "attached": attached_described(&self.attached),
            "annotations": self.index.annotations,
        })
    }

    fn tell(&self) {
        println!("digest      {}", self.digest);
        for one in &self.index.manifests {
            let platform = one.platform.as_ref();
            let platform = platform.map_or_else(|| "-".into(), |at| format!("{}/{}", at.os, at.architecture));
            println!("image       {} {platform}", one.digest);
        }
        tell_attached(&self.attached);
    }
}

fn described(documents: &Documents) -> Value {
    let layer = |layer: &oci::manifest::Descriptor| json!({"digest": layer.digest, "bytes": layer.size});
    json!({
        "digest": documents.digest,
        "media_type": documents.media_type,
        "architecture": documents.config.architecture,
        "os": documents.config.os,
        "created": documents.config.created,
        "layers": documents.manifest.layers.iter().map(layer).collect::<Vec<_>>(),
        "annotations": documents.manifest.annotations,
        "labels": documents.config.config.labels,
        "config": documents.config,
        "attached": attached_described(&documents.attached),
    })
}

fn tell(documents: &Documents) {
    let (manifest, config) = (&documents.manifest, &documents.config);
    println!("digest      {}", documents.digest);
    println!("platform    {}/{}", config.os, config.architecture);
    for (number, layer) in manifest.layers.iter().enumerate() {
        println!("layer {number}     {} {:.1} kB", layer.digest, layer.size as f64 / 1e3);
    }
    for (what, values) in [("annotation", &manifest.annotations), ("label", &config.config.labels)] {
        for (name, value) in values {
            println!("{what:<11} {name}={value}");
        }
    }
    for variable in &config.config.env {
        println!("environment {variable}");
    }
    let line = |what: &str, words: &[String]| {
        if !words.is_empty() {
            println!("{what:<11} {}", words.join(" "));
        }
    };
    line("entrypoint", &config.config.entrypoint);
    line("command", &config.config.cmd);
    tell_attached(&documents.attached);
}
