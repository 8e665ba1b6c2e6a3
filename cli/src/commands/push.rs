//! `zipship push`: an OCI image layout into a registry.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use oci::layout::Stored;

use super::build::product::Goods;
use super::registry::{self, Access, EXIT_REGISTRY};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the layout cannot be used (the reason is on standard error), \
    2 wrong arguments, 3 the registry failed or refused.";

/// Pushes an OCI image layout.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Push {
    /// The layout's directory, as `zipship build -o oci-layout:DIR` writes it.
    #[arg(value_name = "DIR")]
    layout: PathBuf,
    /// Where to: registry/repository:tag; several are possible.
    #[arg(value_name = "REFERENCE", required = true)]
    references: Vec<oci::Reference>,
    #[command(flatten)]
    access: Access,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs the sub-command.
pub(crate) fn run(arguments: &Push) -> anyhow::Result<ExitCode> {
    let stored = oci::layout::open(&arguments.layout)
        .with_context(|| format!("reading the layout {}", arguments.layout.display()))?;
    let goods = match stored {
        Stored::Image(image) => Goods::Image(image),
        Stored::Index(index) => Goods::Index(index),
    };
    let attached = oci::layout::attachments(&arguments.layout)
        .with_context(|| format!("reading the layout {}", arguments.layout.display()))?;
    let mut pushed = Vec::new();
    for reference in &arguments.references {
        match registry::push((&goods, &attached), reference, &arguments.access, arguments.json) {
            Ok(one) => pushed.push(one),
            Err(error) => {
                eprintln!("error: pushing {reference}: {error:#}");
                return Ok(ExitCode::from(EXIT_REGISTRY));
            }
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&pushed)?);
    }
    Ok(ExitCode::SUCCESS)
}
