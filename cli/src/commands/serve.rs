//! `zipship serve`: the privileged beginning. It prepares what only root can, and becomes the outer process of
//! the launcher; the server itself is the hidden `zipship server`.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use builder::{base, golang::modules::ModuleProxy};
use clap::Args;
use runner::local::{LauncherConfig, life, server_dir};
use secrecy::SecretString;
use tracing::level_filters::LevelFilter;

use crate::go_proxy;

use super::build::limits::Limits;
use super::database::{DATABASE_URL, DatabaseArguments};

/// How long the server may take to end; a little more than running requests have.
const SHUTDOWN: Duration = Duration::from_secs(15);

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where everything is kept.
    #[arg(long, default_value = "/var/lib/zipship", value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArguments,
    /// Address of API, functions and registry; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// What URLs in answers start with; by default the host that was asked.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// A region that the API answers for; repeatable.
    #[arg(long = "region", default_values = ["fr-par", "nl-ams"], value_name = "NAME")]
    pub(crate) regions: Vec<String>,
    /// Base images, made by `zipship images build`.
    #[arg(long, value_name = "DIR")]
    pub(crate) images_dir: Option<PathBuf>,
    /// A Go toolchain (its GOROOT); without it golang functions can't be deployed.
    #[arg(long, value_name = "DIR")]
    pub(crate) go_root: Option<PathBuf>,
    /// A Go build cache with the compiled standard library: the first build takes a second, not twenty.
    #[arg(long, value_name = "DIR")]
    pub(crate) go_cache: Option<PathBuf>,
    /// Go module proxies for functions whose modules are not vendored, with commas; `off` for none [default: what
    /// `go env GOPROXY` of the toolchain says, without `direct`].
    #[arg(long, value_name = "URL")]
    pub(crate) go_proxy: Option<String>,
    /// The OCI runtime that makes sandboxes.
    #[arg(long, default_value = "runc", value_name = "PROGRAM")]
    pub(crate) runtime: PathBuf,
    /// User and group of the server process; nobody else's.
    #[arg(long, default_value_t = 60_089, value_name = "ID")]
    pub(crate) uid: u32,
    /// An instance that nobody calls is stopped after so many seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) idle: u64,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Most megabytes that the images of one namespace may take in the registry together [default: no limit].
    #[arg(long, value_name = "MB")]
    pub(crate) registry_quota: Option<u64>,
    /// Logs as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// error, warn, info or debug.
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: LevelFilter,
}

/// Runs until told to stop.
pub(crate) fn run(serve: Serve) -> anyhow::Result<ExitCode> {
    crate::log::start(serve.json, serve.log_level);
    if !rustix::process::geteuid().is_root() {
        anyhow::bail!(
            "zipship serve needs root to make sandboxes (namespaces, mounts, control groups); try: sudo zipship serve. \
             The server itself then runs as user {}, without privileges",
            serve.uid
        );
    }
    fs::create_dir_all(&serve.data).with_context(|| format!("making {}", serve.data.display()))?;
    let data = fs::canonicalize(&serve.data)?;
    let images = serve.images_dir.clone().unwrap_or_else(super::images::defaults::images);
    adopt_images(&images, &images_of(&data)).with_context(|| format!("taking over {}", images.display()))?;
    point_to_credentials(&data)?;
    let code = life::serve(LauncherConfig {
        server: server_arguments(&serve, &data)?,
        server_environment: serve
            .database
            .url()?
            .map(|url| (DATABASE_URL.to_owned(), SecretString::from(url.expose())))
            .into_iter()
            .collect(),
        data_dir: data,
        uid: serve.uid,
        gid: serve.uid,
        runtime: serve.runtime,
        go_toolchain: serve.go_root,
        go_cache: serve.go_cache,
        shutdown: SHUTDOWN,
    })?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Where the server finds the base images: root's, readable by all.
pub(crate) fn images_of(data: &Path) -> PathBuf {
    data.join("images")
}

/// Copies the current bases to where the unprivileged server can read them; the home they are built in need not
/// be open to it. Other keys go.
fn adopt_images(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut bases = base::list(from)?;
    bases.retain(|base| base.architecture == builder::Architecture::HOST);
    if bases.is_empty() {
        tracing::warn!(
            images = %from.display(),
            "no base image was built: functions can't be deployed; make them with: zipship images build"
        );
    }
    for base in bases {
        let folder = to.join(&base.runtime);
        let key = base.layout.file_name().context("a layout has a name")?;
        let layout = folder.join(key);
        if !layout.exists() {
            let unfinished = folder.join(".new");
            let _ = fs::remove_dir_all(&unfinished);
            copy_tree(&base.layout, &unfinished)?;
            fs::rename(&unfinished, &layout)?;
        }
        fs::write(folder.join(base::pointer(base.architecture)), key.to_string_lossy().as_bytes())?;
        for other in fs::read_dir(&folder)? {
            let other = other?;
            if other.file_type()?.is_dir() && other.file_name() != key {
                fs::remove_dir_all(other.path())?;
            }
        }
    }
    fs::create_dir_all(to)?;
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `credentials.json` in the data directory points to the server's own file (mode 0600).
fn point_to_credentials(data: &Path) -> anyhow::Result<()> {
    let link = data.join("credentials.json");
    if fs::symlink_metadata(&link).is_err() {
        symlink(server_dir(Path::new("")).join("credentials.json"), &link)?;
    }
    Ok(())
}

/// The same arguments for `zipship server`, as far as it reads them.
fn server_arguments(serve: &Serve, data: &Path) -> anyhow::Result<Vec<String>> {
    let text =
        |path: &Path| path.to_str().map(str::to_owned).context("the data directory's path is not UTF-8");
    let mut arguments = vec!["server".to_owned(), "--data".to_owned(), text(data)?];
    arguments.extend(["--listen".to_owned(), serve.listen.to_string()]);
    arguments.extend(["--idle".to_owned(), serve.idle.to_string()]);
    arguments.extend(["--log-level".to_owned(), serve.log_level.to_string()]);
    if let Some(quota) = serve.registry_quota {
        arguments.extend(["--registry-quota".to_owned(), quota.to_string()]);
    }
    for region in &serve.regions {
        arguments.extend(["--region".to_owned(), region.clone()]);
    }
    arguments.extend(serve.limits.arguments());
    if let Some(url) = &serve.public_url {
        arguments.extend(["--public-url".to_owned(), url.clone()]);
    }
    let proxies = go_proxy::list(serve.go_proxy.as_deref(), serve.go_root.as_deref());
    ModuleProxy::parse(&proxies)?;
    arguments.extend(["--go-proxy".to_owned(), proxies]);
    if serve.json {
        arguments.push("--json".to_owned());
    }
    Ok(arguments)
}
