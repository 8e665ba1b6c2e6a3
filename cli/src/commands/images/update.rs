//! `zipship images update`.

use anyhow::Context as _;
use builder::base::{self, UpdateRequest};
use clap::Args;
use serde_json::json;

use super::EXIT_CODES;
use super::list::print_json;
use super::progress::Reporter;
use super::sources::Sources;
use super::targets::{Wanted, Which};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Update {
    #[command(flatten)]
    which: Which,
    /// Print one JSON array of the changes instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

pub(super) fn run(arguments: &Update) -> anyhow::Result<()> {
    let recipes = arguments.which.recipes()?;
    let (downloads, mirrors) = (arguments.sources.downloads(), arguments.sources.mirrors());
    let mut all = Vec::new();
    for target in arguments.which.targets(Wanted::All)? {
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
