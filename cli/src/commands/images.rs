//! `zipship images build | list | update`: the runtimes' base images.

pub(crate) mod defaults;
mod progress;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use builder::base::{self, Base, BaseRequest, Mirrors, UpdateRequest};
use clap::{Args, Subcommand};
use contract::runtime::Runtime;
use serde_json::{Value, json};

use progress::Reporter;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong arguments.";

/// Base images of the runtimes.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Images {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Builds base images from their recipes and locks; one that is built already is found at once.
    #[command(after_help = EXIT_CODES)]
    Build(Build),
    /// Lists the base images that are in use.
    #[command(after_help = EXIT_CODES)]
    List(List),
    /// Writes locks anew with the newest packages; needs apt, and npm where a recipe names a package of it.
    #[command(after_help = EXIT_CODES)]
    Update(Update),
}

#[derive(Debug, Args)]
struct Build {
    /// Runtimes; all when none is named.
    runtimes: Vec<String>,
    /// Where base images are kept [default: $XDG_CACHE_HOME/zipship/images].
    #[arg(long, value_name = "DIR")]
    images_dir: Option<PathBuf>,
    /// Folder with one recipe folder per runtime [default: ./images, or beside the executable].
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
    /// The static shim [default: the one in this binary, where cargo builds it, or beside the executable].
    #[arg(long, value_name = "FILE")]
    shim: Option<PathBuf>,
    /// Folder with the worker programs per language [default: those in this binary, ./runtime-shim/workers, or beside the executable].
    #[arg(long, value_name = "DIR")]
    workers: Option<PathBuf>,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

#[derive(Debug, Args)]
struct List {
    /// Where base images are kept [default: $XDG_CACHE_HOME/zipship/images].
    #[arg(long, value_name = "DIR")]
    images_dir: Option<PathBuf>,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Update {
    /// Runtimes; all when none is named.
    runtimes: Vec<String>,
    /// Folder with one recipe folder per runtime [default: ./images, or beside the executable].
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
}

/// Where archives come from and where they are kept.
#[derive(Debug, Args)]
struct Sources {
    /// Where downloads are kept [default: $XDG_CACHE_HOME/zipship/downloads].
    #[arg(long, value_name = "DIR")]
    downloads: Option<PathBuf>,
    /// A Debian mirror instead of apt's; may be given several times.
    #[arg(long, value_name = "URL")]
    debian_mirror: Vec<String>,
    /// An npm registry instead of npm's, for `build`; may be given several times.
    #[arg(long, value_name = "URL")]
    npm_registry: Vec<String>,
}

impl Sources {
    fn downloads(&self) -> PathBuf {
        self.downloads.clone().unwrap_or_else(|| defaults::cache().join("downloads"))
    }

    fn mirrors(&self) -> Mirrors {
        Mirrors::of_this_machine().with_debian(self.debian_mirror.clone()).with_npm(self.npm_registry.clone())
    }
}

/// Runs the sub-command.
pub(crate) fn run(images: &Images) -> anyhow::Result<()> {
    match &images.action {
        Action::Build(arguments) => build(arguments),
        Action::List(arguments) => list(arguments),
        Action::Update(arguments) => update(arguments),
    }
}

fn build(arguments: &Build) -> anyhow::Result<()> {
    let runtimes = chosen(&arguments.runtimes)?;
    let recipes = defaults::recipes(arguments.recipes.as_deref())?;
    let shim = defaults::shim(arguments.shim.as_deref())?;
    let workers = defaults::workers(arguments.workers.as_deref())?;
    let images_dir = arguments.images_dir.clone().unwrap_or_else(defaults::images);
    let (downloads, mirrors) = (arguments.sources.downloads(), arguments.sources.mirrors());
    let mut built = Vec::new();
    for runtime in runtimes {
        let started = Instant::now();
        let reporter = Reporter::new(runtime.base());
        let base = base::build(&BaseRequest {
            recipe_dir: &recipes.join(runtime.base()),
            shim: &shim,
            workers: &workers,
            downloads: &downloads,
            mirrors: &mirrors,
            images_dir: &images_dir,
            progress: &|step| reporter.report(step),
        });
        reporter.finish();
        let base = base.with_context(|| format!("building {}", runtime.base()))?;
        let seconds = started.elapsed().as_secs_f64();
        if arguments.json {
            let mut value = described(&base);
            value["seconds"] = json!((seconds * 1000.0).round() / 1000.0);
            built.push(value);
        } else {
            println!("{} in {seconds:.2} s", line(&base));
        }
    }
    print_json(arguments.json, built)
}

fn list(arguments: &List) -> anyhow::Result<()> {
    let images_dir = arguments.images_dir.clone().unwrap_or_else(defaults::images);
    let bases = base::list(&images_dir)?;
    if !arguments.json {
        bases.iter().for_each(|base| println!("{}", line(base)));
        if bases.is_empty() {
            eprintln!("no base image in {}; build them with: zipship images build", images_dir.display());
        }
    }
    print_json(arguments.json, bases.iter().map(described).collect())
}

fn update(arguments: &Update) -> anyhow::Result<()> {
    let recipes = defaults::recipes(arguments.recipes.as_deref())?;
    let (downloads, mirrors) = (arguments.sources.downloads(), arguments.sources.mirrors());
    for runtime in chosen(&arguments.runtimes)? {
        let reporter = Reporter::new(runtime.base());
        let changes = base::update(&UpdateRequest {
            recipe_dir: &recipes.join(runtime.base()),
            downloads: &downloads,
            mirrors: &mirrors,
            progress: &|step| reporter.report(step),
        });
        reporter.finish();
        let changes = changes.with_context(|| format!("updating {}", runtime.base()))?;
        if changes.is_empty() {
            println!("{}: nothing new", runtime.base());
        }
        for change in changes {
            let from = change.from.as_deref().unwrap_or("(new)");
            println!("{}: {} {from} -> {}", runtime.base(), change.name, change.to);
        }
    }
    Ok(())
}

/// The named runtimes, or all.
fn chosen(names: &[String]) -> anyhow::Result<Vec<Runtime>> {
    if names.is_empty() {
        return Ok(Runtime::ALL.to_vec());
    }
    let mut chosen = Vec::new();
    for name in names {
        match Runtime::from_name(name) {
            Some(runtime) if chosen.contains(&runtime) => {}
            Some(runtime) => chosen.push(runtime),
            None => bail!("there is no runtime {name:?}; there are: {}", Runtime::names().join(", ")),
        }
    }
    Ok(chosen)
}

/// `node10 sha256:... 14.2 + 1.1 MB`
fn line(base: &Base) -> String {
    let sizes: Vec<String> =
        base.image.layers.iter().map(|l| format!("{:.1}", l.layer.size() as f64 / 1e6)).collect();
    format!("{} {} {} MB", base.runtime, base.digest, sizes.join(" + "))
}

fn described(base: &Base) -> Value {
    let layer = |l: &oci::ImageLayer| json!({ "digest": l.layer.digest(), "size": l.layer.size() });
    json!({
        "runtime": base.runtime,
        "digest": base.digest,
        "layers": base.image.layers.iter().map(layer).collect::<Vec<_>>(),
        "layout": path_text(&base.layout),
    })
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

fn print_json(wanted: bool, values: Vec<Value>) -> anyhow::Result<()> {
    if wanted {
        println!("{}", serde_json::to_string_pretty(&values)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_chosen_once() {
        let names = ["python3".to_owned(), "python311".to_owned(), "node10".to_owned()];
        assert_eq!(chosen(&names).unwrap(), [Runtime::Python311, Runtime::Node10]);
        assert_eq!(chosen(&[]).unwrap().len(), Runtime::ALL.len());
        assert!(chosen(&["cobol".to_owned()]).unwrap_err().to_string().contains("golang, node8, node10"));
    }
}
