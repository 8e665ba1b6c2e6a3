//! `zipship images build`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use builder::base::{self, Base, BaseRequest, Mirrors};
use clap::Args;
use serde_json::{Value, json};

use super::list::{described, line, print_json};
use super::progress::Reporter;
use super::sources::Sources;
use super::targets::{Programs, Target, Wanted, Which};
use super::{EXIT_CODES, defaults};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Build {
    #[command(flatten)]
    which: Which,
    /// Where images are kept [default: $XDG_CACHE_HOME/zipship/images].
    #[arg(long, value_name = "DIR")]
    images_dir: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

pub(super) fn run(arguments: &Build) -> anyhow::Result<()> {
    let recipes = arguments.which.recipes()?;
    let targets = arguments.which.targets(Wanted::HERE)?;
    let work = Work {
        workers: arguments.programs.workers()?,
        downloads: arguments.sources.downloads(),
        mirrors: arguments.sources.mirrors(),
        images_dir: arguments.images_dir.clone().unwrap_or_else(defaults::images),
        recipes,
    };
    let mut built = Vec::new();
    for target in targets {
        let started = Instant::now();
        let shim = arguments.programs.shim(target.architecture)?;
        let base = work.build(target, &shim)?;
        let seconds = started.elapsed().as_secs_f64();
        if arguments.json {
            built.push(with_seconds(described(&base), seconds));
        } else {
            println!("{} in {seconds:.2} s", line(&base));
        }
    }
    print_json(arguments.json, built)
}

/// What all builds of one call share.
struct Work {
    recipes: PathBuf,
    workers: PathBuf,
    downloads: PathBuf,
    mirrors: Mirrors,
    images_dir: PathBuf,
}

impl Work {
    fn build(&self, target: Target, shim: &std::path::Path) -> anyhow::Result<Base> {
        let reporter = Reporter::new(target);
        let base = base::build(&BaseRequest {
            recipe_dir: &self.recipes.join(target.name),
            architecture: target.architecture,
            shim,
            workers: &self.workers,
            downloads: &self.downloads,
            mirrors: &self.mirrors,
            images_dir: &self.images_dir,
            progress: &|step| reporter.report(step),
        });
        reporter.finish();
        base.with_context(|| format!("building {} for {}", target.name, target.architecture))
    }
}

fn with_seconds(mut value: Value, seconds: f64) -> Value {
    value["seconds"] = json!((seconds * 1000.0).round() / 1000.0);
    value
}
