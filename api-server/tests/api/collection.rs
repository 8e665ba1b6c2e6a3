//! What is collected and what stays: real archives, a real registry, the journal of deploys.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api_server::{
    collection::{CollectPolicy, Collector, Keep, Round},
    store::deploys::{Deploy, DeployState},
};
use futures_util::future::BoxFuture;
use oci::{
    Digest, Image, ImageLayer, Reference,
    client::{Client as RegistryClient, Credentials, Options},
    config::ImageConfig,
    layer::MemoryLayer,
};
use registry::{Action, Authorize, Denied, Registry, store::Disk};
use serde_json::json;

use crate::harness::{Client, Server};

const LEASE: Duration = Duration::from_secs(60);

/// Everybody may do everything.
struct Open;

impl Authorize for Open {
    fn authorize<'a>(
        &'a self,
        _: Option<&'a str>,
        _: &'a str,
        _: Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(async { Ok(()) })
    }
}

/// A server with a function, and a registry.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) function: String,
    images: Disk,
    address: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(Server::start().await).await
    }

    async fn over(server: Server) -> Self {
        let client = server.client().await;
        let namespace = client.namespace("n").await;
        let function = client.function(&namespace, "f").await;
        let images = Disk::open(server.data().join("registry")).unwrap();
        let router = registry::router(Registry::new(images.clone(), Arc::new(Open)));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { server, client, function, images, address }
    }

    /// One that takes all that may go at all.
    pub(crate) fn collector(&self, keep: Keep) -> Collector {
        let policy = CollectPolicy {
            images: keep,
            archives: keep,
            grace: Duration::ZERO,
            every: Duration::from_secs(1),
        };
        let (store, archives) = (self.server.state.store.clone(), self.server.state.archives.clone());
        Collector { store, archives, images: self.images.clone(), unpacked: None, policy }
    }

    pub(crate) fn registry(&self) -> RegistryClient {
        let options = Options { credentials: Credentials::Anonymous, plain_http: true, ..Options::default() };
        RegistryClient::new(options).unwrap()
    }

    pub(crate) fn reference(&self, deploy: &Deploy, tag: &str) -> Reference {
        Reference::parse(&format!("{}/{}:{tag}", self.address, deploy.repository)).unwrap()
    }

    /// Uploads, asks for a deploy, and claims it.
    async fn claimed(&self, archive: &str) -> Deploy {
        self.client.upload(&self.function, archive.as_bytes()).await;
        let answer = self.client.post(&format!("functions/{}/deploy", self.function), json!({})).await;
        assert_eq!(answer.body["status"], "pending", "{answer:?}");
        self.server.state.store.claim_deploy("me", LEASE).await.unwrap().unwrap()
    }

    /// Up to the image in the registry, as a deploy's steps do it.
    async fn pushed(&self, mut deploy: Deploy, image: &Image) -> Deploy {
        let store = &self.server.state.store;
        while deploy.state != DeployState::Pushing {
            deploy = store.step_deploy(&deploy, deploy.state.next().unwrap(), None, LEASE).await.unwrap();
        }
        let digest = image.digest();
        let reference = self.reference(&deploy, "none").with_digest(digest.clone());
        self.registry().push(image, &reference).await.unwrap();
        store.step_deploy(&deploy, DeployState::Verifying, Some(digest.as_str()), LEASE).await.unwrap()
    }

    /// A version that serves.
    pub(crate) async fn version(&self, archive: &str) -> Deploy {
        let store = &self.server.state.store;
        let image = image(archive);
        let deploy = self.pushed(self.claimed(archive).await, &image).await;
        let digest = image.digest();
        let revision = store.create_revision(&deploy, &deploy.repository, digest.as_str()).await.unwrap();
        for tag in [revision.version.to_string(), "latest".to_owned()] {
            self.registry().push(&image, &self.reference(&deploy, &tag)).await.unwrap();
        }
        let deploy = store.step_deploy(&deploy, DeployState::Switching, None, LEASE).await.unwrap();
        store.deploy_ready(&deploy).await.unwrap();
        deploy
    }

    pub(crate) async fn tags(&self, deploy: &Deploy) -> Vec<String> {
        self.registry().tags(&self.reference(deploy, "latest")).await.unwrap()
    }

    /// What the archives are that lie there, in order.
    pub(crate) fn archives(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.server.data().join("archives")).unwrap();
        let mut found: Vec<_> =
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        found.sort_unstable();
        found
    }

    pub(crate) fn has_blob(&self, text: &str) -> bool {
        self.images.open_blob(&Digest::of(text.as_bytes())).is_ok()
    }
}

/// A shared layer, and one of its own.
fn image(own: &str) -> Image {
    let layer = |text: &str| {
        let diff_id = Digest::of(format!("tar of {text}").as_bytes());
        ImageLayer::new(Arc::new(MemoryLayer::gzip(text.to_owned().into(), diff_id)))
    };
    Image::assemble(ImageConfig::default(), vec![layer("shared"), layer(own)], BTreeMap::new())
}

#[tokio::test]
async fn twelve_versions_leave_exactly_what_the_policy_promises() {
    let world = World::new().await;
    let names: Vec<_> = (1..=12).map(|version| format!("code {version:02}")).collect();
    let mut last = None;
    for name in &names {
        last = Some(world.version(name).await);
    }
    let last = last.unwrap();
    // Switched off, nothing goes.
    assert_eq!(world.collector(Keep::All).round().await.unwrap(), Round::default());
    assert_eq!((world.tags(&last).await.len(), world.archives().len()), (13, 12));

    let round = world.collector(Keep::Last(3)).round().await.unwrap();
    // Of each version its manifest and its own layer; the configuration is not the same in any two.
    assert_eq!((round.archives, round.tags, round.manifests, round.files), (9, 9, 9, 27), "{round:?}");
    assert_eq!(world.tags(&last).await, ["10", "11", "12", "latest"]);
    assert_eq!(world.archives(), names[9..]);
    for (index, name) in names.iter().enumerate() {
        assert_eq!(world.has_blob(name), index >= 9, "{name}");
    }
    assert!(world.has_blob("shared"));
    for tag in ["10", "11", "12", "latest"] {
        let folder = tempfile::tempdir().unwrap();
        world.registry().pull(&world.reference(&last, tag), folder.path()).await.unwrap();
    }
    // There is nothing left to do, and no row is looked at again.
    assert_eq!(world.collector(Keep::Last(3)).round().await.unwrap(), Round::default());
    assert!(world.server.state.store.retired_images(3).await.unwrap().is_empty());
    // With none kept but what is live.
    world.collector(Keep::Last(0)).round().await.unwrap();
    assert_eq!(world.tags(&last).await, ["12", "latest"]);
    assert_eq!(world.archives(), names[11..]);
}

#[tokio::test]
async fn what_a_deploy_under_way_needs_stays_and_what_a_failed_one_left_goes() {
    let world = World::new().await;
    let store = &world.server.state.store;
    let first = world.version("first").await;
    world.version("second").await;
    let third = world.pushed(world.claimed("third").await, &image("third")).await;
    // Nothing of images is touched, the archives of the last version, the deploy and the upload stay.
    let round = world.collector(Keep::Last(0)).round().await.unwrap();
    assert_eq!((round.archives, round.tags, round.manifests), (1, 0, 0), "{round:?}");
    assert_eq!(world.archives(), ["second", "third"]);
    assert!(["first", "second", "third"].iter().all(|name| world.has_blob(name)));
    store.deploy_failed(&third, "it does not start").await.unwrap();
    let round = world.collector(Keep::Last(0)).round().await.unwrap();
    assert_eq!(
        (round.archives, round.tags, round.manifests),
        (0, 1, 2),
        "the image of 1, and the failed one"
    );
    assert_eq!(world.archives(), ["second", "third"], "the last upload is not of the live version");
    assert_eq!(world.tags(&first).await, ["2", "latest"]);
    assert!(world.has_blob("second") && !world.has_blob("third") && !world.has_blob("first"));
    // Deployed again it is pushed again.
    world.version("third").await;
    assert!(world.has_blob("third"));
}

#[tokio::test]
async fn what_is_young_stays() {
    let world = World::new().await;
    let deploys = [world.version("first").await, world.version("second").await];
    let mut collector = world.collector(Keep::Last(0));
    collector.policy.grace = Duration::from_secs(3600);
    let round = collector.round().await.unwrap();
    assert_eq!((round.archives, round.manifests, round.files), (0, 0, 0), "{round:?}");
    assert_eq!(world.archives(), ["first", "second"]);
    assert!(world.has_blob("first"));
    assert_eq!(world.tags(&deploys[0]).await, ["2", "latest"]);
    // It was not forgotten.
    let round = world.collector(Keep::Last(0)).round().await.unwrap();
    assert_eq!((round.archives, round.manifests), (1, 1), "{round:?}");
}

#[tokio::test]
async fn an_archive_that_is_about_to_be_known_is_waited_for() {
    let world = World::new().await;
    let disk = world.server.state.archives.disk().unwrap();
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>("about")]);
    let part = disk.receive(5, body).await.unwrap();
    let placing = world.server.state.archives.placing().await;
    let archive = part.place().await.unwrap();
    let round = tokio::spawn({
        let collector = world.collector(Keep::Last(0));
        async move { collector.round().await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!round.is_finished(), "it waits");
    let store = &world.server.state.store;
    let url = world.client.upload_url(&world.function, 5).await;
    let id = url.split(['/', '?']).nth(2).unwrap();
    store.complete_upload(&store.upload(id).await.unwrap(), &archive, &[]).await.unwrap();
    drop(placing);
    assert_eq!(round.await.unwrap().archives, 0);
    assert_eq!(world.archives(), ["about"]);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let world = World::new().await;
    let disk = world.server.state.archives.disk().unwrap();
    let pieces = [Ok::<_, &str>("half"), Err("gone")];
    assert!(disk.receive(9, futures_util::stream::iter(pieces)).await.is_err());
    // A handler that is dropped with its connection.
    let never = futures_util::stream::pending::<Result<&str, &str>>();
    let dropped = tokio::time::timeout(Duration::from_millis(50), disk.receive(9, never)).await;
    assert!(dropped.is_err());
    assert!(world.archives().is_empty());
}

#[tokio::test]
async fn an_upload_that_never_came_is_forgotten_once_its_url_has_expired() {
    let server = Server::with(|config| config.presigned_life = Duration::from_secs(1)).await;
    let world = World::over(server).await;
    let url = world.client.upload_url(&world.function, 5).await;
    let id = url.split(['/', '?']).nth(2).unwrap();
    let store = &world.server.state.store;
    world.collector(Keep::All).round().await.unwrap();
    assert!(store.upload(id).await.is_ok());
    tokio::time::sleep(Duration::from_millis(2100)).await;
    world.collector(Keep::Last(0)).round().await.unwrap();
    assert!(store.upload(id).await.is_err());
}
