//! Talking to registries from the command line: who we are there, how they are reached, and what a push shows; and
//! the sub-command `zipship registry`.

mod clean;
pub(crate) mod command;
mod list;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use oci::Reference;
use oci::artifact::{Attachment, artifact_type};
use oci::client::{Attached, Client, ClientError, Credentials, Keychain, Listed, Options, Progress, Push};
use serde_json::{Value, json};

use super::build::product::Goods;
use super::transfer;

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

/// Waits for what a client does, on this thread: more of them would spend a small push on waking each other. Layers are
/// read on threads of their own.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// Pushes an image or an index of some with the documents about it, and says so, unless `quiet`.
pub(crate) fn push(
    (goods, attached): (&Goods, &[Attachment]),
    reference: &Reference,
    access: &Access,
    quiet: bool,
) -> anyhow::Result<Value> {
    let client = access.client(reference)?;
    let shown = transfer::show(goods.images(), quiet);
    let progress = shown.clone().map(|shown| shown as Arc<dyn Progress>);
    let started = std::time::Instant::now();
    // The tag's present image probably shares layers with the new one.
    let how = Push { previous: reference.tag.as_deref(), progress };
    let pushed = wait(async {
        let pushed = match &goods {
            Goods::Image(image) => client.push_with(image, reference, &how).await?,
            Goods::Index(index) => client.push_index_with(index, reference, &how).await?,
        };
        let mut listed = Vec::new();
        for document in attached {
            listed.push(client.attach(document, reference).await?);
        }
        Ok::<_, ClientError>((pushed, listed))
    })?;
    shown.iter().for_each(|shown| shown.finish());
    let (pushed, listed) = pushed?;
    let ms = started.elapsed().as_secs_f64() * 1000.0;
    if !quiet {
        println!(
            "pushed {reference} in {ms:.0} ms: {:.1} kB sent, {} blobs there, {} linked, {} requests",
            pushed.uploaded_bytes as f64 / 1e3,
            pushed.present,
            pushed.mounted,
            pushed.requests
        );
        for (document, listed) in attached.iter().zip(&listed) {
            println!("attached {} {}{}", kind(document), listed.digest, by(listed.listed));
        }
        println!("{}", reference.with_digest(pushed.digest.clone()));
    }
    let document = |(document, listed): (&Attachment, &Attached)| {
        json!({
            "artifact_type": kind(document),
            "digest": listed.digest,
            "subject": document.subject,
            "listed_by_registry": listed.listed == Listed::ByRegistry,
            "requests": listed.requests,
        })
    };
    Ok(json!({
        "reference": reference.to_string(),
        "digest": pushed.digest,
        "requests": pushed.requests,
        "uploaded_bytes": pushed.uploaded_bytes,
        "mounted": pushed.mounted,
        "present": pushed.present,
        "attached": attached.iter().zip(&listed).map(document).collect::<Vec<_>>(),
        "ms": (ms * 10.0).round() / 10.0,
    }))
}

fn kind(document: &Attachment) -> &str {
    artifact_type(&document.descriptor).unwrap_or("document")
}

fn by(listed: Listed) -> &'static str {
    match listed {
        Listed::ByRegistry => "",
        Listed::ByTag => " (listed under a tag: the registry does not list what is attached)",
    }
}
