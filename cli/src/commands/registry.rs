//! Talking to registries from the command line: who we are there, how they are reached, and what a push shows.

use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use oci::client::{Client, Credentials, Keychain, Options};
use oci::{Digest, Image, ImageLayer, Layer, Reference};
use serde_json::{Value, json};

use super::build::product::Goods;

/// The registry failed or refused.
pub(crate) const EXIT_REGISTRY: u8 = 3;

/// How a registry is reached.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// Speak HTTP without TLS.
    #[arg(long)]
    insecure: bool,
    /// Certificates (PEM) of an authority that is believed beside the system's; repeatable.
    #[arg(long = "ca", value_name = "FILE")]
    authorities: Vec<PathBuf>,
    /// User at the registry; the password is read from $ZIPSHIP_REGISTRY_PASSWORD. Without it, what `docker login` or
    /// `podman login` left behind is used.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

impl Access {
    /// A client for a reference's registry.
    pub(crate) fn client(&self, reference: &Reference) -> anyhow::Result<Client> {
        Ok(Client::new(self.options(reference)?)?)
    }

    /// How a reference's registry is reached.
    pub(crate) fn options(&self, reference: &Reference) -> anyhow::Result<Options> {
        let credentials = match &self.user {
            Some(user) => {
                let password = std::env::var("ZIPSHIP_REGISTRY_PASSWORD")
                    .context("--user needs the password in $ZIPSHIP_REGISTRY_PASSWORD")?;
                Credentials::Basic { user: user.clone(), password }
            }
            None => Keychain::of_this_user().credentials(reference)?,
        };
        Ok(Options { credentials, plain_http: self.insecure, ..self.trusting()? })
    }

    /// The same for a registry that the options are not about: the user that is named is no concern of its.
    pub(crate) fn options_elsewhere(&self, reference: &Reference) -> anyhow::Result<Options> {
        Ok(Options { credentials: Keychain::of_this_user().credentials(reference)?, ..self.trusting()? })
    }

    fn trusting(&self) -> anyhow::Result<Options> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("reading the certificates in {}", path.display()))
        };
        let authorities = self.authorities.iter().map(read).collect::<anyhow::Result<_>>()?;
        Ok(Options { authorities, ..Options::default() })
    }
}

/// Waits for what a client does.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// Pushes an image or an index of some, and says so: a bar on a terminal, a line elsewhere, the value alone when `quiet`.
pub(crate) fn push(
    goods: &Goods,
    reference: &Reference,
    access: &Access,
    quiet: bool,
) -> anyhow::Result<Value> {
    let client = access.client(reference)?;
    let bar = bar(goods.images(), quiet);
    let mut goods = goods.clone();
    for layer in goods.images_mut().iter_mut().flat_map(|image| &mut image.layers) {
        *layer = counted(layer, &bar);
    }
    let started = std::time::Instant::now();
    // The tag's present image probably shares layers with the new one.
    let previous = reference.tag.as_deref();
    let pushed = match &goods {
        Goods::Image(image) => wait(client.push_over(image, reference, previous))?,
        Goods::Index(index) => wait(client.push_index(index, reference, previous))?,
    };
    bar.finish_and_clear();
    let pushed = pushed?;
    let ms = started.elapsed().as_secs_f64() * 1000.0;
    if !quiet {
        println!(
            "pushed {reference} in {ms:.0} ms: {:.1} kB sent, {} blobs there, {} linked, {} requests",
            pushed.uploaded_bytes as f64 / 1e3,
            pushed.present,
            pushed.mounted,
            pushed.requests
        );
        println!("{}", reference.with_digest(pushed.digest.clone()));
    }
    Ok(json!({
        "reference": reference.to_string(),
        "digest": pushed.digest,
        "requests": pushed.requests,
        "uploaded_bytes": pushed.uploaded_bytes,
        "mounted": pushed.mounted,
        "present": pushed.present,
        "ms": (ms * 10.0).round() / 10.0,
    }))
}

fn bar(images: &[Image], quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar =
        ProgressBar::new(images.iter().flat_map(|image| &image.layers).map(|layer| layer.layer.size()).sum());
    let style = ProgressStyle::with_template("pushing [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A layer whose reading moves the bar.
struct Counted {
    inner: Arc<dyn Layer>,
    bar: ProgressBar,
}

fn counted(layer: &ImageLayer, bar: &ProgressBar) -> ImageLayer {
    let counted = Counted { inner: layer.layer.clone(), bar: bar.clone() };
    ImageLayer { layer: Arc::new(counted), mount_from: layer.mount_from.clone() }
}

impl Layer for Counted {
    fn digest(&self) -> &Digest {
        self.inner.digest()
    }

    fn diff_id(&self) -> &Digest {
        self.inner.diff_id()
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn media_type(&self) -> &str {
        self.inner.media_type()
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.bar.wrap_read(self.inner.open()?)))
    }
}
