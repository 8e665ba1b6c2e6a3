//! `zipship images update`.

use std::path::PathBuf;

use anyhow::Context as _;
use builder::base::{self, UpdateRequest};
use clap::Args;
use serde_json::json;

use super::list::print_json;
use super::progress::Reporter;
use super::sources::Sources;
use super::targets::{self, Wanted};
use super::{EXIT_CODES, defaults};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Update {
    /// Runtimes and build images (python-dep2, python-dep3); all runtimes when none is named.
    names: Vec<String>,
    /// Architectures: amd64, arm64, or all that an image has.
    #[arg(
        long = "arch",
        visible_alias = "platform",
        value_name = "ARCH",
        value_delimiter = ',',
        default_value = "all"
    )]
    architectures: Vec<Wanted>,
    /// Folder with one recipe folder per image [default: ./images, or beside the executable].
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
    /// Print one JSON array of the changes instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

pub(super) fn run(arguments: &Update) -> anyhow::Result<()> {
    let recipes = defaults::recipes(arguments.recipes.as_deref())?;
    let (downloads, mirrors) = (arguments.sources.downloads(), arguments.sources.mirrors());
    let mut all = Vec::new();
    for target in targets::chosen(&arguments.names, &arguments.architectures, &recipes)? {
        let (name, architecture) = (target.name, target.architecture);
        let reporter = Reporter::new(target);
        let changes = base::update(&UpdateRequest {
            recipe_dir: &recipes.join(name),
            architecture,
            downloads: &downloads,
            mirrors: &mirrors,
            progress: &|step| reporter.report(step),
        });
        reporter.finish();
        let changes = changes.with_context(|| format!("updating {name} for {architecture}"))?;
        if changes.is_empty() && !arguments.json {
            println!("{name} {architecture}: nothing new");
        }
        for change in changes {
            if arguments.json {
                all.push(json!({
                    "runtime": name, "architecture": architecture,
                    "package": change.name, "from": change.from, "to": change.to,
                }));
            } else {
                let from = change.from.as_deref().unwrap_or("(new)");
                println!("{name} {architecture}: {} {from} -> {}", change.name, change.to);
            }
        }
    }
    print_json(arguments.json, all)
}
