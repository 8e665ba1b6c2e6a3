//! `zipship serve`: the privileged beginning. It prepares what only root can, and becomes the outer process of
//! the launcher; the server itself is the hidden `zipship server`.

use std::{
    fs,
    io::IsTerminal as _,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use builder::{base, golang::modules::ModuleProxy};
use clap::Args;
use runner::local::{Hangup, LauncherConfig, life, server_dir};
use secrecy::SecretString;
use tracing::level_filters::LevelFilter;

use crate::configuration::{self, Given};
use crate::go_proxy;

use super::archives::ArchiveArguments;
use super::build::limits::Limits;
use super::collect::CollectArguments;
use super::database::DatabaseArguments;
use super::foreign_images::ForeignImageArguments;
use super::log_limits::LogArguments;
use super::operation::Operation;
use super::quotas::QuotaArguments;

/// User and group of the server process, unless another is set.
pub(crate) const SERVER_UID: u32 = 60_089;
/// How long the server may take to end; a little more than running requests have.
const SHUTDOWN: Duration = Duration::from_secs(15);

const CONFIGURATION: &str = "Each flag but --help can also stand in the environment (ZIPSHIP_LISTEN for --listen) or in \
    the file (listen = \"…\"). A flag wins over the environment, the environment over the file. `zipship config` shows \
    what holds and why, `zipship config --defaults` a file with all of them.";

/// Arguments of `serve`. Each is a setting of file and environment too, and reaches the server process, by standing
/// here (see [`configuration`]).
#[derive(Debug, Args)]
#[command(after_help = CONFIGURATION)]
pub(crate) struct Serve {
    /// A configuration file [default: /etc/zipship/config.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, default_value = "/var/lib/zipship", value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArguments,
    #[command(flatten)]
    pub(crate) archives: ArchiveArguments,
    #[command(flatten)]
    pub(crate) collect: CollectArguments,
    /// Address of API, functions and registry; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// What URLs in answers start with; by default the host that was asked.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// A region that the API answers for; repeatable.
    #[arg(long, alias = "region", default_values = ["fr-par", "nl-ams"], value_name = "NAME")]
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
    #[arg(long, default_value_t = SERVER_UID, value_name = "ID")]
    pub(crate) uid: u32,
    /// An instance that nobody calls is stopped after so many seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) idle: u64,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) quotas: QuotaArguments,
    /// Most megabytes that the images of one namespace may take in the registry together [default: no limit].
    #[arg(long, value_name = "MB")]
    pub(crate) registry_quota: Option<u64>,
    #[command(flatten)]
    pub(crate) logs: LogArguments,
    #[command(flatten)]
    pub(crate) foreign_images: ForeignImageArguments,
    #[command(flatten)]
    pub(crate) operation: Operation,
    /// Logs as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// error, warn, info or debug.
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: LevelFilter,
}

impl Serve {
    /// Refuses what no argument's own parser can, before anything runs.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.database.url()?;
        self.archives.check()?;
        self.limits.of_archives()?;
        self.operation.check()?;
        ModuleProxy::parse(&go_proxy::list(self.go_proxy.as_deref(), self.go_root.as_deref()))?;
        Ok(())
    }
}

/// Runs until told to stop; `given` is what was set, by whatever.
pub(crate) fn run(serve: Serve, given: &[Given]) -> anyhow::Result<ExitCode> {
    crate::log::start(serve.json, serve.log_level);
    if !rustix::process::geteuid().is_root() {
        anyhow::bail!(
            "zipship serve needs root to make sandboxes (namespaces, mounts, control groups); try: sudo zipship serve. \
             The server itself then runs as user {}, without privileges",
            serve.uid
        );
    }
    serve.check()?;
    let unmade =
        || format!("the data directory {} can't be made; --data names another", serve.data.display());
    fs::create_dir_all(&serve.data).with_context(unmade)?;
    let data = fs::canonicalize(&serve.data)?;
    // First of all: what lies there may be another server's.
    let held = life::hold(&data)?;
    let images = serve.images_dir.clone().unwrap_or_else(super::images::defaults::images);
    adopt_images(&images, &images_of(&data)).with_context(|| format!("taking over {}", images.display()))?;
    point_to_credentials(&data)?;
    let settings = configuration::of_server();
    let config = LauncherConfig {
        server: vec!["server".to_owned()],
        server_configuration: for_server(&serve, given, &data)?,
        server_without: settings
            .iter()
            .filter(|setting| setting.secret)
            .flat_map(|setting| {
                [setting.variable.clone()].into_iter().chain(setting.usual.map(str::to_owned))
            })
            .collect(),
        data_dir: data,
        uid: serve.uid,
        gid: serve.uid,
        certificate: serve.operation.certificate()?,
        // A terminal that is closed ends what was started in it.
        hangup: if std::io::stdin().is_terminal() { Hangup::Ends } else { Hangup::Reloads },
        runtime: serve.runtime,
        go_toolchain: serve.go_root,
        go_cache: serve.go_cache,
        shutdown: SHUTDOWN + serve.operation.drain(),
    };
    let code = life::serve(config, held)?;
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
            "no base image was built: functions can't be deployed; make them with: zipship images build, and start again"
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

/// What the server process is told: the same, with what only this process can find out or read.
fn for_server(serve: &Serve, given: &[Given], data: &Path) -> anyhow::Result<SecretString> {
    let proxies = go_proxy::list(serve.go_proxy.as_deref(), serve.go_root.as_deref());
    let data = data.to_str().context("the data directory's path is not UTF-8")?;
    configuration::hand_over(
        given,
        &configuration::of_server(),
        &[("data", data.to_owned()), ("go-proxy", proxies)],
    )
}
