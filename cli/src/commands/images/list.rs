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
    /// A table of what each image takes instead: bytes of its layers, compressed, and of their files.
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

const HEAD: &str = "| image | architecture | compressed | unpacked | shim and workers, compressed | unpacked |\n\
    |---|---|---:|---:|---:|---:|";

fn sizes(bases: &[Base], json: bool) -> anyhow::Result<()> {
    if !json {
        println!("{HEAD}");
    }
    let mut values = Vec::new();
    for base in bases {
        let value = measured(base)?;
        if !json {
            println!("{}", row(base, &value));
        }
        values.push(value);
    }
    print_json(json, values)
}

/// As [`described`], with the bytes of each layer's files, and of all.
pub(super) fn measured(base: &Base) -> anyhow::Result<Value> {
    let mut value = described(base);
    let unpacked = base.unpacked_sizes()?;
    value["compressed_bytes"] = base.image.layers.iter().map(|one| one.layer.size()).sum::<u64>().into();
    value["unpacked_bytes"] = unpacked.iter().sum::<u64>().into();
    for (layer, bytes) in value["layers"].as_array_mut().into_iter().flatten().zip(unpacked) {
        layer["unpacked_bytes"] = bytes.into();
    }
    Ok(value)
}

/// A build image has no layer of ours.
fn row(base: &Base, measured: &Value) -> String {
    let cell = |layer: usize, field: &str| {
        measured["layers"][layer][field].as_u64().map(grouped).unwrap_or_default()
    };
    let cells = [0, 1].map(|layer| format!("{} | {}", cell(layer, "size"), cell(layer, "unpacked_bytes")));
    format!("| {} | {} | {} |", base.runtime, base.architecture, cells.join(" | "))
}

/// `12,345,678`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let (head, tail) = digits.split_at(first);
    let tail = tail.as_bytes().chunks(3).map(|group| format!(",{}", String::from_utf8_lossy(group)));
    tail.fold(head.to_owned(), |text, group| text + &group)
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
        "licenses": base.licenses(),
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

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_by_three() {
        let numbers = [0, 999, 1_000, 123_456, 12_345_678];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "123,456", "12,345,678"]);
    }
}
