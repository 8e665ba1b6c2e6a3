//! Archives in a bucket: the real router and store, and versitygw.

use std::time::{Duration, SystemTime};

use api_server::{
    archives::{ArchivePlace, BucketAccess, BucketError},
    collection::{CollectPolicy, Collector, Keep},
    store::{Tenant, deploys::Deploy},
};
use contract::api::PresignedUrl;
use http::Method;
use oci::Digest;
use registry::store::Disk;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use zipship_tests::Bucket;

use crate::harness::{Answer, Client, Server, eventually, path_of};

/// A server with a function, whose archives are in a bucket.
struct World {
    server: Server,
    client: Client,
    function: String,
    http: reqwest::Client,
    bucket: Bucket,
}

type Change<'a> = &'a dyn Fn(&mut BucketAccess);

fn access(bucket: &Bucket) -> BucketAccess {
    BucketAccess {
        endpoint: Some(bucket.endpoint().parse().unwrap()),
        region: None,
        access_key_id: Some(bucket.key_id().to_owned()),
        secret_access_key: Some(bucket.secret().into()),
    }
}

impl World {
    async fn new() -> Self {
        let bucket = Bucket::start().unwrap();
        let server = Server::with(|config| {
            config.bucket = Some(bucket.place().parse().unwrap());
            config.bucket_access = access(&bucket);
        })
        .await;
        let client = server.client().await;
        let namespace = client.namespace("n").await;
        let function = client.function(&namespace, "f").await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, client, function, http, bucket }
    }

    fn path(&self, operation: &str) -> String {
        format!("functions/{}/{operation}", self.function)
    }

    async fn url(&self, bytes: usize) -> PresignedUrl {
        let answer = self.client.get(&self.path(&format!("upload-url?content_length={bytes}"))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_value(answer.body).unwrap()
    }

    /// As the plugin of the Serverless Framework sends it: a header that means nothing, and a token that is none of the
    /// bucket's business.
    async fn put(&self, url: &str, archive: &str) -> u16 {
        let request = self.http.put(url).header("content-type", "application/octet-stream");
        let request = request.header("content_length", archive.len()).header("x-auth-token", "of the plugin");
        request.body(archive.to_owned()).send().await.unwrap().status().as_u16()
    }

    /// A `PUT` of so many bytes, of which some are sent.
    async fn begin(&self, url: &str, bytes: usize, sent: usize) -> TcpStream {
        let endpoint = self.bucket.endpoint();
        let address = endpoint.trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).await.unwrap();
        let path = path_of(url);
        let head = format!("PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {bytes}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![b'x'; sent]).await.unwrap();
        socket
    }

    async fn uploaded(&self, archive: &str) -> PresignedUrl {
        let signed = self.url(archive.len()).await;
        assert_eq!(self.put(&signed.url, archive).await, 200);
        signed
    }

    async fn ask(&self) -> Answer {
        self.client.post(&self.path("deploy"), json!({})).await
    }

    fn presigner(&self) -> &api_server::archives::Bucket {
        let ArchivePlace::Bucket(bucket) = self.server.state.archives.place() else { panic!("a bucket") };
        bucket
    }

    /// The deploy that is asked for now, and the bytes that it takes.
    async fn deploy(&self) -> (Deploy, String) {
        let answer = self.ask().await;
        assert_eq!(answer.body["status"], "pending", "{answer:?}");
        let deploy = self.server.state.store.claim_deploy("me", Duration::from_secs(60)).await;
        let deploy = deploy.unwrap().unwrap();
        let bytes = self.taken(&deploy);
        (deploy, bytes)
    }

    fn taken(&self, deploy: &Deploy) -> String {
        let archive = deploy.archive.as_ref().unwrap();
        let bytes = self.bucket.objects().unwrap().remove(&format!("archives/{}.zip", archive.key)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), archive.digest);
        assert_eq!(bytes.len() as u64, archive.bytes);
        String::from_utf8(bytes).unwrap()
    }

    /// One that takes all that may go at all.
    async fn collect(&self, keep: u32) -> api_server::collection::Round {
        let policy = CollectPolicy {
            images: Keep::All,
            archives: Keep::Last(keep),
            grace: Duration::ZERO,
            every: Duration::from_secs(1),
        };
        let (store, archives) = (self.server.state.store.clone(), self.server.state.archives.clone());
        let images = Disk::open(self.server.data().join("registry")).unwrap();
        Collector { store, archives, images, unpacked: None, policy }.round().await.unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.bucket.objects().unwrap().into_keys().collect()
    }
}

#[tokio::test]
async fn an_archive_goes_to_the_bucket_and_comes_back_past_the_server() {
    let world = World::new().await;
    world.client.get(&world.path("download-url")).await.assert_error(412, "precondition_failed");
    let refused = world.ask().await;
    assert!(
        refused.assert_error(412, "precondition_failed").body["message"].as_str().unwrap().contains("PUT")
    );

    let signed = world.url(7).await;
    assert!(signed.url.starts_with(&world.bucket.endpoint()), "{}", signed.url);
    let headers = json!({"content-length": ["7"], "content-type": ["application/octet-stream"]});
    assert_eq!(json!(signed.headers), headers);
    assert_eq!(world.put(&signed.url, "archive").await, 200);
    let (deploy, taken) = world.deploy().await;
    assert_eq!(taken, "archive");

    let answer = world.client.get(&world.path("download-url")).await;
    let signed: PresignedUrl = serde_json::from_value(answer.body).unwrap();
    assert!(signed.headers.is_empty());
    let got = world.http.get(&signed.url).send().await.unwrap();
    assert_eq!((got.status().as_u16(), got.text().await.unwrap().as_str()), (200, "archive"));
    // Good for nothing else, and without its signature for nothing at all.
    assert_eq!(world.put(&signed.url, "archive").await, 403);
    let bare = signed.url.split_once('?').unwrap().0;
    assert_eq!(world.http.get(bare).send().await.unwrap().status().as_u16(), 403);
    // Asked again without an upload in between, it is the same archive.
    assert_eq!(world.deploy().await.0.archive, deploy.archive);
    assert!(!world.server.data().join("archives").exists());
}

#[tokio::test]
async fn a_url_is_good_for_one_method_one_object_one_length_and_a_while() {
    let world = World::new().await;
    let signed = world.url(5).await;
    for wrong in ["abcd", "abcdef", ""] {
        assert_eq!(world.put(&signed.url, wrong).await, 403, "{wrong:?}");
    }
    for method in [Method::GET, Method::DELETE, Method::POST] {
        let status = world.http.request(method.clone(), &signed.url).send().await.unwrap().status();
        assert!(status.is_client_error(), "{method}: {status}");
    }
    let upload = path_of(&signed.url).split(['/', '?']).nth(6).unwrap().to_owned();
    let other = signed.url.replace(&upload, "another.zip");
    let longer = signed.url.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601");
    let unbound = signed.url.replace("content-length%3B", "");
    for forged in [other, longer, unbound] {
        assert_ne!(forged, signed.url);
        assert_eq!(world.put(&forged, "abcde").await, 403, "{forged}");
    }
    world.ask().await.assert_error(412, "precondition_failed");
    assert_eq!(world.put(&signed.url, "abcde").await, 200);
    assert_eq!(world.deploy().await.1, "abcde");

    let bucket = world.presigner();
    let brief = bucket.put_url(&world.function, "brief", 5, Duration::from_secs(1));
    eventually(async || (world.put(&brief, "abcde").await == 403).then_some(())).await;
}

#[tokio::test]
async fn half_an_upload_is_never_seen() {
    let world = World::new().await;
    let signed = world.url(1000).await;
    let mut given_up = world.begin(&signed.url, 1000, 500).await;
    let mut slow = world.begin(&signed.url, 1000, 500).await;
    world.ask().await.assert_error(412, "precondition_failed");
    given_up.shutdown().await.unwrap();
    // Whatever it answers: it has ended.
    let _ = given_up.read_to_end(&mut Vec::new()).await;
    world.ask().await.assert_error(412, "precondition_failed");
    slow.write_all(&[b'y'; 500]).await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let whole = "x".repeat(500) + &"y".repeat(500);
    assert_eq!(world.deploy().await.1, whole);
    // One that is being replaced is the old one until it is the new one.
    drop(world.begin(&signed.url, 1000, 999).await);
    assert_eq!(world.deploy().await.1, whole);
}

#[tokio::test]
async fn deploys_among_uploads_take_whole_ones() {
    let world = World::new().await;
    let letters = ['a', 'b', 'c', 'd', 'e'];
    let whole = |letter: char| letter.to_string().repeat(200_000);
    let signed = world.uploaded(&whole('z')).await;
    let puts = async {
        for letter in letters.iter().cycle().take(20) {
            assert_eq!(world.put(&signed.url, &whole(*letter)).await, 200);
        }
    };
    let deploys = async {
        let mut taken = Vec::new();
        for _ in 0..8 {
            // Or else it says that uploads replace each other too fast.
            let answer = world.ask().await;
            if answer.status == 200 {
                let claimed = world.server.state.store.claim_deploy("me", Duration::from_secs(60)).await;
                taken.push(world.taken(&claimed.unwrap().unwrap()));
            } else {
                answer.assert_error(503, "unavailable");
            }
        }
        taken
    };
    let ((), taken) = tokio::join!(puts, deploys);
    assert!(!taken.is_empty());
    for bytes in taken {
        let letter = bytes.chars().next().unwrap();
        assert!(bytes == whole(letter), "{letter} and others");
    }
    assert_eq!(world.deploy().await.1, whole('e'));
}

#[tokio::test]
async fn what_is_put_after_a_deploy_was_asked_for_is_for_the_next_one() {
    let world = World::new().await;
    let signed = world.uploaded("first").await;
    let (first, taken) = world.deploy().await;
    assert_eq!(taken, "first");
    assert_eq!(world.put(&signed.url, "other").await, 200);
    assert_eq!(world.taken(&first), "first");
    assert_eq!(world.deploy().await.1, "other");
    // The same bytes again are news when something else was there in between.
    assert_eq!(world.put(&signed.url, "first").await, 200);
    assert_eq!(world.deploy().await.1, "first");
    // Also for a change that redeploys; one that does not leaves it alone.
    let path = format!("functions/{}", world.function);
    assert_eq!(world.put(&signed.url, "again").await, 200);
    let uploads = world.names().len();
    assert_eq!(world.client.patch(&path, json!({"description": "d", "redeploy": false})).await.status, 200);
    assert_eq!(world.names().len(), uploads);
    assert_eq!(world.client.patch(&path, json!({"redeploy": true})).await.body["status"], "pending");
    let deploy = world.server.state.store.claim_deploy("me", Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(world.taken(&deploy), "again");
}

#[tokio::test]
async fn of_several_uploads_the_one_that_ended_last_counts_whatever_its_url() {
    let world = World::new().await;
    let (early, late) = (world.url(3).await, world.url(3).await);
    assert_eq!(world.put(&late.url, "one").await, 200);
    let object = world.names().pop().unwrap();
    world.bucket.age(&object, SystemTime::now() - Duration::from_secs(60)).unwrap();
    assert_eq!(world.put(&early.url, "two").await, 200);
    assert_eq!(world.deploy().await.1, "two");
    // What was passed over never comes back.
    assert_eq!(world.deploy().await.1, "two");
    // One that ends later counts, whatever the bucket says of its time.
    let third = world.uploaded("tri").await;
    let name = path_of(&third.url).split(['/', '?']).nth(6).unwrap().to_owned();
    let object = format!("uploads/{}/{name}", world.function);
    world.bucket.age(&object, SystemTime::now() - Duration::from_secs(600)).unwrap();
    assert_eq!(world.deploy().await.1, "tri");
}

#[tokio::test]
async fn old_archives_and_uploads_go_and_the_last_upload_stays() {
    let world = World::new().await;
    let tenant = Tenant { organization_id: world.client.organization_id.clone(), region: "fr-par".into() };
    let store = &world.server.state.store;
    for archive in ["one", "two"] {
        world.uploaded(archive).await;
        let (deploy, _) = world.deploy().await;
        store.deploy_failed(&deploy, "for the test").await.unwrap();
    }
    // Their URLs are good still.
    assert_eq!(world.names().len(), 4);
    let round = world.collect(0).await;
    assert_eq!((round.archives, round.uploads, world.names().len()), (1, 0, 3), "{round:?}");

    // One whose URL has expired was never looked at: it is the last upload all the same.
    let expired = store.create_upload(&tenant, &world.function, 5, 1).await.unwrap();
    let bucket = world.presigner();
    let url = bucket.put_url(&world.function, &expired.id, 5, Duration::from_secs(60));
    assert_eq!(world.put(&url, "three").await, 200);
    let round = world.collect(0).await;
    assert_eq!((round.archives, round.uploads), (0, 1), "{round:?}");
    assert!(store.upload(&expired.id).await.is_err(), "its row is forgotten");
    let round = world.collect(0).await;
    assert_eq!((round.archives, round.uploads), (1, 0), "{round:?}");
    assert_eq!(world.names().iter().filter(|name| name.starts_with("archives/")).count(), 1);
    assert_eq!(world.deploy().await.1, "three");

    // With the function all goes.
    assert_eq!(world.client.delete(&format!("functions/{}", world.function)).await.status, 200);
    eventually(async || world.names().is_empty().then_some(())).await;
}

#[tokio::test]
async fn what_nobody_knows_is_collected_and_what_is_no_archive_is_not() {
    let world = World::new().await;
    let bucket = world.presigner();
    let stray = bucket.put_url("a-function-that-is-gone", "an-upload", 5, Duration::from_secs(60));
    assert_eq!(world.put(&stray, "stray").await, 200);
    bucket.check().await.unwrap();
    assert_eq!(world.names(), ["uploads/a-function-that-is-gone/an-upload.zip"], "a check leaves nothing");
    world.bucket.damage("note.txt", b"somebody else's").unwrap();
    let round = world.collect(0).await;
    assert_eq!(round.uploads, 1, "{round:?}");
    assert_eq!(world.names(), ["note.txt"]);
}

#[tokio::test]
async fn a_bucket_that_is_away_is_told_and_comes_back() {
    let mut world = World::new().await;
    let signed = world.url(5).await;
    assert_eq!(world.put(&signed.url, "abcde").await, 200);
    world.bucket.pause().unwrap();
    let refused = world.ask().await;
    let message = refused.assert_error(503, "unavailable").body["message"].as_str().unwrap().to_owned();
    assert!(message.contains("does not answer now") && message.contains("refused"), "{message}");
    assert!(!message.contains("X-Amz"), "{message}");
    world.client.get(&world.path("download-url")).await.assert_error(503, "unavailable");
    let path = format!("functions/{}", world.function);
    world.client.patch(&path, json!({"redeploy": true})).await.assert_error(503, "unavailable");
    // What does not need it goes on.
    assert_eq!(world.client.patch(&path, json!({"description": "d"})).await.status, 200);
    let signed = world.url(5).await;
    world.bucket.resume().unwrap();
    assert_eq!(world.put(&signed.url, "fghij").await, 200);
    assert_eq!(world.deploy().await.1, "fghij");
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_says_what_to_do() {
    let bucket = Bucket::start().unwrap();
    let place = bucket.place();
    let check = async |place: &str, change: Change<'_>| {
        let mut access = access(&bucket);
        change(&mut access);
        let made = api_server::archives::Bucket::new(place.parse().unwrap(), &access);
        match made {
            Ok(bucket) => bucket.check().await,
            Err(error) => Err(error),
        }
    };
    check(&place, &|_| {}).await.unwrap();
    let wrong: [(&str, Change<'_>, &str); 5] = [
        ("s3://none/p", &|_| {}, "there is no bucket of this name"),
        (&place, &|access| access.access_key_id = Some("x".into()), "AWS_ACCESS_KEY_ID"),
        (&place, &|access| access.secret_access_key = Some("marker".into()), "AWS_SECRET_ACCESS_KEY"),
        (&place, &|access| access.region = Some("eu-west-9".into()), "s3-region"),
        (&place, &|access| access.secret_access_key = None, "a key is needed"),
    ];
    for (place, change, advice) in wrong {
        let error = check(place, change).await.unwrap_err();
        assert!(!error.is_passing(), "{error:?}");
        let (told, debug) = (error.to_string(), format!("{error:?}"));
        assert!(told.contains(advice), "{told}");
        assert!(!told.contains("marker") && !debug.contains("marker"), "{debug}");
    }
    let nobody = check(&place, &|access| access.endpoint = Some("http://127.0.0.1:1".parse().unwrap()));
    let nobody = nobody.await.unwrap_err();
    assert!(matches!(nobody, BucketError::Unavailable { .. }) && nobody.is_passing(), "{nobody:?}");
}
