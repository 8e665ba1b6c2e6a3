//! `zipship images list`.

use std::path::PathBuf;

use builder::base::{self, Base};
use clap::Args;
use serde_json::{Value, json};

use super::{EXIT_CODES, defaults};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct List {
    /// Where images are kept [default: $XDG_CACHE_HOME/zipship/images].
    #[arg(long, value_name = "DIR")]
    images_dir: Option<PathBuf>,
    /// Also the sizes of all files, compressed and unpacked, as a table.
    #[arg(long)]
    sizes: bool,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &List) -> anyhow::Result<()> {
    let images_dir = arguments.images_dir.clone().unwrap_or_else(defaults::images);
    let bases = base::list_all(&images_dir)?;
    if arguments.sizes {
        return sizes(&bases, arguments.json);
    }
    if !arguments.json {
        bases.iter().for_each(|base| println!("{}", line(base)));
        if bases.is_empty() {
            eprintln!("no base image in {}; build them with: zipship images build", images_dir.display());
        }
    }
    print_json(arguments.json, bases.iter().map(described).collect())
}

/// Megabytes are 10^6 bytes, as registries count.
fn sizes(bases: &[Base], json: bool) -> anyhow::Result<()> {
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    if !json {
        println!("| image | architecture | compressed MB | unpacked MB |\n|---|---|---:|---:|");
    }
    let mut values = Vec::new();
    for base in bases {
        let compressed: u64 = base.image.layers.iter().map(|l| l.layer.size()).sum();
        let unpacked = base.unpacked_bytes()?;
        if !json {
            let (compressed, unpacked) = (megabytes(compressed), megabytes(unpacked));
            println!("| {} | {} | {compressed} | {unpacked} |", base.runtime, base.architecture);
        }
        let mut value = described(base);
        value["compressed_bytes"] = json!(compressed);
        value["unpacked_bytes"] = json!(unpacked);
        values.push(value);
    }
    print_json(json, values)
}

/// `node10 amd64 sha256:... 14.2 + 1.1 MB`
pub(super) fn line(base: &Base) -> String {
    let sizes: Vec<String> =
        base.image.layers.iter().map(|l| format!("{:.1}", l.layer.size() as f64 / 1e6)).collect();
    format!("{} {} {} {} MB", base.runtime, base.architecture, base.digest, sizes.join(" + "))
}

pub(super) fn described(base: &Base) -> Value {
    let layer = |l: &oci::ImageLayer| json!({ "digest": l.layer.digest(), "size": l.layer.size() });
    json!({
        "runtime": base.runtime,
        "architecture": base.architecture,
        "digest": base.digest,
        "layers": base.image.layers.iter().map(layer).collect::<Vec<_>>(),
        "layout": base.layout.display().to_string(),
    })
}

pub(super) fn print_json(wanted: bool, values: Vec<Value>) -> anyhow::Result<()> {
    if wanted {
        println!("{}", serde_json::to_string_pretty(&values)?);
    }
    Ok(())
}
