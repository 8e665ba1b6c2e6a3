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
use super::targets::{self, Target, Wanted};
use super::{EXIT_CODES, defaults};
use crate::programs::ShimOption;

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Build {
    /// Runtimes and build images (python-dep2, python-dep3); all runtimes when none is named.
    names: Vec<String>,
    /// Architectures: amd64, arm64, or all that an image has.
    #[arg(
        long = "arch",
        visible_alias = "platform",
        value_name = "ARCH",
        value_delimiter = ',',
        default_value = builder::Architecture::HOST.name()
    )]
    architectures: Vec<Wanted>,
    /// Where images are kept [default: $XDG_CACHE_HOME/zipship/images].
    #[arg(long, value_name = "DIR")]
    images_dir: Option<PathBuf>,
    /// Folder with one recipe folder per image [default: ./images, or beside the executable].
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
    /// The static shim, for one architecture: `arm64=FILE` [default: the one in this binary, where cargo builds it, or
    /// beside the executable].
    #[arg(long, value_name = "[ARCH=]FILE")]
    shim: Vec<ShimOption>,
    /// Folder with the worker programs per language [default: those in this binary, ./runtime-shim/workers, or beside the executable].
    #[arg(long, value_name = "DIR")]
    workers: Option<PathBuf>,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

pub(super) fn run(arguments: &Build) -> anyhow::Result<()> {
    let recipes = defaults::recipes(arguments.recipes.as_deref())?;
    let targets = targets::chosen(&arguments.names, &arguments.architectures, &recipes)?;
    let work = Work {
        workers: defaults::workers(arguments.workers.as_deref())?,
        downloads: arguments.sources.downloads(),
        mirrors: arguments.sources.mirrors(),
        images_dir: arguments.images_dir.clone().unwrap_or_else(defaults::images),
        recipes,
    };
    let mut built = Vec::new();
    for target in targets {
        let started = Instant::now();
        let shim = crate::programs::shim_for(target.architecture, &arguments.shim)?;
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
