//! `zipship build`: an archive or a directory becomes an image, in a registry or in a file. No daemon, no root.

mod attest;
mod base;
mod golang;
mod layers;
pub(crate) mod limits;
mod lock;
mod output;
pub(crate) mod pack;
mod precompile;
pub(crate) mod product;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use builder::attest::{Facts, Observed};
use builder::layer::LayerOptions;
use builder::zip::ArchiveLimits;
use builder::{BuildRequest, Built};
use clap::Args;
use contract::runtime::{Language, Runtime};
use oci::artifact::Attachment;
use serde_json::{Value, json};
use zip::CompressionMethod;

use self::base::{Ground, Wanted};
use self::output::Output;
use self::product::Product;
use super::registry::{self, Access, EXIT_REGISTRY};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the image could not be built (the reason is on standard error), \
    2 wrong arguments, 3 the registry failed or refused.";

/// Builds the image of a function.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Build {
    /// The function's zip, or its directory.
    #[arg(value_name = "ARCHIVE|DIR")]
    source: PathBuf,
    /// The runtime, such as node22, python313 or golang.
    #[arg(long, value_name = "NAME", value_parser = runtime)]
    runtime: Runtime,
    /// The handler [default: handler.handle; for golang the root package].
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,
    /// Push the image under this name: registry/repository:tag; repeatable.
    #[arg(short, long = "tag", value_name = "REFERENCE")]
    tags: Vec<oci::Reference>,
    /// Write the image: oci-layout:DIR, oci-archive:FILE or docker-archive:FILE; repeatable.
    #[arg(short, long = "output", value_name = "FORM:PATH")]
    outputs: Vec<Output>,
    /// A label for the image's configuration: NAME=VALUE; repeatable.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// An annotation for the image's manifest: NAME=VALUE; repeatable.
    #[arg(long = "annotation", value_name = "NAME=VALUE", value_parser = label)]
    annotations: Vec<(String, String)>,
    #[command(flatten)]
    base: base::BaseOptions,
    #[command(flatten)]
    precompile: precompile::PrecompileOptions,
    /// Base images, made by `zipship images build` [default: $XDG_CACHE_HOME/zipship/images].
    #[arg(long, value_name = "DIR")]
    images_dir: Option<PathBuf>,
    /// A repository of the target registry that has the base's layers: they are linked, not sent.
    #[arg(long, value_name = "REPOSITORY")]
    mount_from: Option<String>,
    #[command(flatten)]
    attest: attest::AttestOptions,
    #[command(flatten)]
    limits: limits::Limits,
    #[command(flatten)]
    layers: layers::Layers,
    #[command(flatten)]
    go: golang::GoOptions,
    #[command(flatten)]
    access: Access,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

fn runtime(name: &str) -> Result<Runtime, String> {
    let unknown = || format!("there is no such runtime; there are: {}", Runtime::names().join(", "));
    Runtime::from_name(name).ok_or_else(unknown)
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the sub-command.
pub(crate) fn run(arguments: &Build) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    if arguments.base.may_be_several() && arguments.outputs.iter().any(Output::has_room_for_one) {
        anyhow::bail!(
            "a docker-archive has room for one machine's image: name one --platform, or write an oci-archive"
        );
    }
    let product = match build(arguments) {
        Err(error) if is_registrys(&error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_REGISTRY));
        }
        built => built?,
    };
    let build_ms = started.elapsed().as_secs_f64() * 1000.0;
    if !arguments.json {
        tell(&product, build_ms);
    }
    let goods = product.goods();
    for output in &arguments.outputs {
        output.write(&goods, arguments.tags.first(), &product.attached)?;
        if !arguments.json {
            println!("wrote {output}");
        }
    }
    let mut pushed = Vec::new();
    for reference in &arguments.tags {
        let linked = goods.linked(reference, arguments.base.registry(), arguments.mount_from.as_deref());
        match registry::push((&linked, &product.attached), reference, &arguments.access, arguments.json) {
            Ok(one) => pushed.push(one),
            Err(error) => {
                eprintln!("error: pushing {reference}: {error:#}");
                return Ok(ExitCode::from(EXIT_REGISTRY));
            }
        }
    }
    if arguments.json {
        let mut value = described(&product, build_ms);
        value["pushed"] = Value::Array(pushed);
        println!("{}", serde_json::to_string_pretty(&value)?);
    } else if arguments.tags.is_empty() && arguments.outputs.is_empty() {
        let digest = product.digest();
        println!("{digest} (nothing was written: give -t registry/repository:tag, or -o oci-archive:FILE)");
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether it is the base's registry that failed or refused.
fn is_registrys(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|error| matches!(error, oci::source::SourceError::Client(_)))
}

fn build(arguments: &Build) -> anyhow::Result<Product> {
    let cache = arguments.layers.cache()?;
    let layers = arguments.layers.options(cache.as_ref())?;
    let (archive, limits) =
        pack::archive(&arguments.source, arguments.limits.of_archives()?, CompressionMethod::Stored)?;
    let images = arguments.images_dir.clone().unwrap_or_else(super::images::defaults::images);
    let grounds = arguments.base.grounds(&Wanted {
        runtime: arguments.runtime,
        source: &arguments.source,
        images: &images,
        access: &arguments.access,
        target: arguments.tags.first(),
    })?;
    let (mut all, mut attached) = (Vec::new(), Vec::new());
    for ground in &grounds {
        let (built, documents) = build_on(ground, (&archive, limits), layers, arguments)?;
        all.push(built);
        attached.extend(documents);
    }
    Product::of(all, attached)
}

fn build_on(
    ground: &Ground,
    (archive, limits): (&[u8], ArchiveLimits),
    layers: LayerOptions<'_>,
    arguments: &Build,
) -> anyhow::Result<(Built, Vec<Attachment>)> {
    let runtime = arguments.runtime;
    let compile = match runtime.language() {
        Language::Golang => arguments.go.compiler()?.map(Observed::new),
        _ => None,
    };
    let precompile = arguments.precompile.of_this_machine();
    let handler =
        arguments.handler.clone().unwrap_or_else(|| runtime.language().default_handler().to_owned());
    let labels: BTreeMap<String, String> = arguments.labels.iter().cloned().collect();
    let annotations: BTreeMap<String, String> = arguments.annotations.iter().cloned().collect();
    let built = builder::build(&BuildRequest {
        archive,
        runtime,
        handler: &handler,
        base: &ground.base,
        limits,
        compile: compile.as_ref().map(|compile| compile as &dyn builder::golang::Compile),
        precompile: precompile.as_ref().map(|one| one as &dyn builder::precompile::Precompile),
        labels: &labels,
        description: builder::Description { origin: ground.origin.as_ref(), annotations: Some(&annotations) },
        layers,
    });
    let mut built = built.with_context(|| format!("building {}", arguments.source.display()))?;
    built.report.warnings.extend(ground.warnings.iter().cloned());
    if !arguments.attest.wanted() {
        return Ok((built, Vec::new()));
    }
    let program = compile.and_then(|compile| compile.program());
    let facts = Facts {
        archive,
        limits: &limits,
        runtime,
        handler: &handler,
        base: &ground.base,
        origin: ground.origin.as_ref(),
        program: program.as_ref(),
        precompiled: precompile.is_some(),
        image: &built.image,
        created: None,
    };
    let documents = arguments
        .attest
        .made(facts, arguments.base.may_be_several().then(|| ground.base.architecture.name()))?;
    Ok((built, documents))
}

fn tell(product: &Product, build_ms: f64) {
    let first = &product.built[0].report;
    println!("{} entries in {build_ms:.0} ms", first.entries);
    for name in &first.dropped {
        println!("left out {name}");
    }
    for built in &product.built {
        built.report.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        for layer in &built.report.layers {
            let (size, tar) = (layer.bytes as f64 / 1e3, layer.tar_bytes as f64 / 1e3);
            let kept = if layer.kept { ", made before" } else { "" };
            println!("layer {}: {size:.1} kB ({tar:.1} kB unpacked{kept})", layer.part);
        }
        match &product.index {
            Some(_) => println!("image {} for {}", built.image.digest(), platform(built)),
            None => println!("image {}", built.image.digest()),
        }
    }
    if product.index.is_some() {
        println!("index {}", product.digest());
    }
    for document in &product.attached {
        let kind = oci::artifact::artifact_type(&document.descriptor).unwrap_or("document");
        println!("{kind}: {:.1} kB", document.content.len() as f64 / 1e3);
    }
}

/// `linux/arm64`.
fn platform(built: &Built) -> String {
    let config = built.image.parsed_config();
    config.map_or_else(|_| "linux".to_owned(), |config| format!("{}/{}", config.os, config.architecture))
}

fn described(product: &Product, build_ms: f64) -> Value {
    let layer = |layer: &builder::LayerReport| {
        json!({
            "part": layer.part.to_string(),
            "bytes": layer.bytes,
            "tar_bytes": layer.tar_bytes,
            "compressed_bytes": layer.compressed_bytes,
            "kept": layer.kept,
        })
    };
    let one = |built: &Built| {
        json!({
            "digest": built.image.digest(),
            "platform": platform(built),
            "warnings": built.report.warnings,
            "layers": built.report.layers.iter().map(layer).collect::<Vec<_>>(),
        })
    };
    let mut value = one(&product.built[0]);
    value["digest"] = json!(product.digest());
    value["entries"] = json!(product.built[0].report.entries);
    value["dropped"] = json!(product.built[0].report.dropped);
    value["build_ms"] = json!((build_ms * 10.0).round() / 10.0);
    if product.index.is_some() {
        value["platform"] = Value::Null;
        value["images"] = product.built.iter().map(one).collect();
    }
    value
}

/// For errors: a path as people write it.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
