//! `make bench [only=PREFIX]`: benchmarks beside peers, in one run on one machine. Rows go to
//! `target/bench/results.json` and, as a table, to the terminal.

mod api;
mod build;
mod cold_start;
mod compare;
mod deploy;
mod machine;
mod peer;
mod registry;
mod row;
mod runtime;
mod samples;

use std::{fs, path::PathBuf};

use anyhow::{Context, bail};

use row::Row;

/// Names as they appear in the results, each with what measures it.
const BENCHMARKS: &[&str] = &[
    "cold_start.node10.cold.p50",
    "cold_start.python3.cold.p50",
    "deploy.hello.node10",
    "deploy.hello.node22",
    "deploy.parallel",
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let prefix = prefix_of_arguments()?;
    let begins = |name: &&str| name.starts_with(&prefix);
    let picked: Vec<&str> = BENCHMARKS.iter().copied().filter(begins).collect();
    let of_the_builder: Vec<&str> = build::ROWS.iter().copied().filter(begins).collect();
    let of_the_registry: Vec<&str> = registry::ROWS.iter().copied().filter(begins).collect();
    let of_the_runtime: Vec<&str> = runtime::ROWS.iter().copied().filter(begins).collect();
    let of_the_api: Vec<&str> = api::ROWS.iter().copied().filter(begins).collect();
    let chosen = [&picked, &of_the_api, &of_the_builder, &of_the_registry, &of_the_runtime];
    if chosen.iter().all(|names| names.is_empty()) {
        let all = [BENCHMARKS, api::ROWS, build::ROWS, registry::ROWS, runtime::ROWS].concat();
        bail!("no benchmark begins with {prefix:?}; there are: {}", all.join(", "));
    }
    let mut rows = Vec::new();
    for name in picked {
        eprintln!("measuring {name}");
        rows.push(measure(name).await.with_context(|| name.to_owned())?);
    }
    if !of_the_api.is_empty() {
        rows.extend(api::measure(&of_the_api).await?);
    }
    if !of_the_builder.is_empty() {
        rows.extend(tokio::task::spawn_blocking(move || build::measure(&of_the_builder)).await??);
    }
    if !of_the_registry.is_empty() {
        let handle = tokio::runtime::Handle::current();
        let measure = move || registry::measure(&of_the_registry, &handle);
        rows.extend(tokio::task::spawn_blocking(measure).await??);
    }
    if !of_the_runtime.is_empty() {
        rows.extend(tokio::task::spawn_blocking(move || runtime::measure(&of_the_runtime)).await??);
    }
    let file = results_file();
    fs::create_dir_all(file.parent().context("a file in a folder")?)?;
    fs::write(&file, serde_json::to_vec_pretty(&rows)?)?;
    print!("{}", row::table(&rows));
    eprintln!("rows: {}", file.display());
    Ok(())
}

async fn measure(name: &'static str) -> anyhow::Result<Row> {
    match name {
        "cold_start.node10.cold.p50" => cold_start::measure(name, "node/hello-json").await,
        "cold_start.python3.cold.p50" => cold_start::measure(name, "python/hello").await,
        "deploy.hello.node10" => deploy::hello(name, "node/hello-json", "node10").await,
        "deploy.hello.node22" => deploy::hello(name, "node/hello-json", "node22").await,
        "deploy.parallel" => deploy::parallel(name).await,
        other => bail!("{other} is listed and not measured"),
    }
}

fn prefix_of_arguments() -> anyhow::Result<String> {
    let mut prefix = String::new();
    for argument in std::env::args().skip(1) {
        match argument.strip_prefix("only=") {
            Some(only) => prefix = only.to_owned(),
            None => bail!("unknown argument {argument:?}; usage: only=PREFIX"),
        }
    }
    Ok(prefix)
}

/// Where cargo puts all that it makes; the caller may have moved it.
fn results_file() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from);
    target.join("bench/results.json")
}
