//! A client that is sent to names which strangers chose: it goes to the internet and to what is allowed, and no
//! connection is made to anything else, however it is named.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use oci::client::guard::{Guard, Network};
use oci::client::{Client, ClientError, Options, Retry};
use oci::{Digest, Reference};

use crate::scripted::*;

/// An address of the internet. Nothing is sent there: connections to it go to a listener of the test.
const PUBLIC: &str = "93.184.215.14";

/// A listener that counts who connects, and says nothing.
struct Trap {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<AtomicUsize> = Arc::default();
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        Self { address, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Names with what they mean, one answer after the other; the last one stays.
#[derive(Debug)]
struct Names {
    answers: Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>,
    /// Where connections to addresses of the internet end.
    outside: SocketAddr,
    /// Where all others would.
    inside: SocketAddr,
}

impl Names {
    fn of(names: &[(&'static str, &[&[&str]])], outside: &Trap, inside: &Trap) -> Arc<Self> {
        let addresses = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        let answers = names.iter().map(|(name, all)| (*name, all.iter().map(addresses).collect()));
        let answers = Mutex::new(answers.collect());
        Arc::new(Self { answers, outside: outside.address, inside: inside.address })
    }
}

impl Network for Names {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.get_mut(host) {
            Some(all) if all.len() > 1 => Ok(all.remove(0)),
            Some(all) => Ok(all[0].clone()),
            None => Err(io::Error::other("no such name")),
        };
        Box::pin(async { answer })
    }

    fn is_own(&self, address: IpAddr) -> bool {
        address.to_string() == "93.184.215.99"
    }

    fn dial(&self, address: IpAddr) -> SocketAddr {
        if address.to_string() == PUBLIC { self.outside } else { self.inside }
    }
}

fn client(guard: Guard, plain_http: bool) -> Client {
    let (first, longest) = (Duration::from_millis(2), Duration::from_secs(5));
    let retry = Retry { attempts: 3, first, longest, silence: Duration::from_secs(20) };
    Client::new(Options { plain_http, retry, guard: Some(guard), ..Options::default() }).unwrap()
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

#[track_caller]
fn is_refused(error: &ClientError) {
    assert!(matches!(error, ClientError::Guarded { .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_of_an_address_inside_is_not_connected_to() {
    let (outside, inside) = (Trap::set().await, Trap::set().await);
    for answer in [
        &["127.0.0.1"][..],
        &["10.1.2.3"],
        &["169.254.169.254"],
        &["::1"],
        &["::ffff:192.168.0.1"],
        &["64:ff9b::7f00:1"],
        &["fd00::1"],
        // This machine's own, though it is a public one.
        &["93.184.215.99"],
        // One of them is enough: which one is connected to is not ours to say.
        &[PUBLIC, "127.0.0.1"],
    ] {
        let names = Names::of(&[("registry.test", &[answer])], &outside, &inside);
        let asked = client(Guard::over(Vec::new(), names), false);
        let error = asked.manifest(&reference("registry.test/a:1")).await.unwrap_err();
        is_refused(&error);
        let said = error.to_string();
        assert!(said.contains("registry.test is not asked"), "{said}");
        // What stands behind a name inside is nobody's business.
        assert!(!answer.iter().any(|address| said.contains(address)), "{said}");
    }
    assert_eq!((outside.connections(), inside.connections()), (0, 0));
}

#[tokio::test]
async fn a_name_that_means_another_address_the_next_time_is_looked_at_again() {
    let (outside, inside) = (Trap::set().await, Trap::set().await);
    let names = Names::of(&[("registry.test", &[&[PUBLIC], &["127.0.0.1"]])], &outside, &inside);
    let asked = client(Guard::over(Vec::new(), names), false);
    // The first connection goes to the address that was seen, and breaks; for the next one the name is asked again.
    let error = asked.manifest(&reference("registry.test/a:1")).await.unwrap_err();
    is_refused(&error);
    assert!(error.to_string().contains("a loopback address"), "{error}");
    assert_eq!((outside.connections(), inside.connections()), (1, 0));
}

#[tokio::test]
async fn an_unknown_name_is_told_as_such() {
    let (outside, inside) = (Trap::set().await, Trap::set().await);
    let names = Names::of(&[], &outside, &inside);
    let asked = client(Guard::over(Vec::new(), names), false);
    let error = asked.manifest(&reference("registry.test/a:1")).await.unwrap_err();
    assert!(error.to_string().contains("the host registry.test is not known: no such name"), "{error}");
}

/// Where a registry that is allowed may want to send the client.
const ELSEWHERE: [&str; 7] = [
    "https://inside.test/secret",
    "https://127.0.0.1/secret",
    "https://2130706433/secret",
    "https://[::ffff:127.0.0.1]/secret",
    "https://169.254.169.254/latest/meta-data/",
    "https://public.test:8443/secret",
    "http://public.test/secret",
];

#[tokio::test]
async fn a_redirect_to_somewhere_inside_is_not_followed() {
    let (outside, inside) = (Trap::set().await, Trap::set().await);
    let trap = format!("http://{}/secret", inside.address);
    for to in ELSEWHERE.into_iter().chain([trap.as_str()]) {
        for what in ["/manifests/", "/blobs/"] {
            let location = to.to_owned();
            let registry = Server::start(move |seen, _| {
                seen.target.contains(what).then(|| status(307).with("location", &location))
            })
            .await;
            let names = [("inside.test", &[&["127.0.0.1"][..]][..]), ("public.test", &[&[PUBLIC][..]][..])];
            let names = Names::of(&names, &outside, &inside);
            let allowed = format!("http://{}", registry.address).parse().unwrap();
            let asked = client(Guard::over(vec![allowed], names), true);
            let named = registry.reference("a:1");
            let error = match what {
                "/manifests/" => asked.manifest(&named).await.map(drop).unwrap_err(),
                _ => asked.blob(&named, &Digest::of(b"x"), &mut Vec::new()).await.map(drop).unwrap_err(),
            };
            // Those that no client follows are refused before the guard is asked.
            let refused = matches!(error, ClientError::Guarded { .. } | ClientError::Protocol { .. });
            assert!(refused, "{to}: {error:?}");
            assert_eq!(registry.seen().len(), 1, "{to}");
        }
    }
    assert_eq!((outside.connections(), inside.connections()), (0, 0));
}

#[tokio::test]
async fn a_token_service_inside_is_not_asked() {
    let (outside, inside) = (Trap::set().await, Trap::set().await);
    let trap = format!("http://{}/token", inside.address);
    for realm in ELSEWHERE.into_iter().chain([trap.as_str()]) {
        let challenge = format!(r#"Bearer realm="{realm}",service="s""#);
        let registry = Server::start(move |_, _| {
            Some(refusal(401, "UNAUTHORIZED", "token please").with("www-authenticate", &challenge))
        })
        .await;
        let names = [("inside.test", &[&["127.0.0.1"][..]][..]), ("public.test", &[&[PUBLIC][..]][..])];
        let names = Names::of(&names, &outside, &inside);
        let allowed = format!("http://{}", registry.address).parse().unwrap();
        let asked = client(Guard::over(vec![allowed], names), true);
        let error = asked.manifest(&registry.reference("a:1")).await.map(drop).unwrap_err();
        match realm {
            // Not https, and not the registry's own host: no client asks there, so the registry's refusal stands.
            "http://public.test/secret" => {
                assert_eq!(error.status().map(|status| status.as_u16()), Some(401))
            }
            _ => is_refused(&error),
        }
    }
    assert_eq!((outside.connections(), inside.connections()), (0, 0));
}

#[tokio::test]
async fn what_is_allowed_is_pulled_from_and_nothing_beside_it() {
    let registry = Server::start(|_, _| None).await;
    let digest = registry.add_blob(b"content");
    let allowed = format!("http://{}", registry.address).parse().unwrap();
    let guard = Guard::new(vec![allowed]);
    assert!(guard.is_plain(&registry.address));
    let mut content = Vec::new();
    client(guard, true).blob(&registry.reference("a"), &digest, &mut content).await.unwrap();
    assert_eq!(content, b"content");
    assert!(registry.seen().iter().all(|seen| seen.header("authorization").is_none()));

    let other = Server::start(|_, _| None).await;
    let guard = Guard::new(vec![format!("http://{}", other.address).parse().unwrap()]);
    let before = registry.seen().len();
    let error = client(guard, true).manifest(&registry.reference("a:1")).await.unwrap_err();
    is_refused(&error);
    assert_eq!(registry.seen().len(), before);
}

#[tokio::test]
async fn an_operators_proxy_is_told_the_name_and_is_no_way_to_addresses_inside() {
    let (proxy, outside, inside) = (Trap::set().await, Trap::set().await, Trap::set().await);
    // It knows no names, so whoever resolves is the proxy.
    let names = Names::of(&[], &outside, &inside);
    let url = format!("http://{}", proxy.address).parse().unwrap();
    let asked = client(Guard::over(Vec::new(), names).through(Some(url)), false);
    let error = asked.manifest(&reference("registry.test/a:1")).await.unwrap_err();
    assert!(!error.to_string().contains("not known"), "{error}");
    let before = proxy.connections();
    assert!(before > 0);
    for name in ["127.0.0.1:443/a:1", "169.254.169.254:443/a:1"] {
        is_refused(&asked.manifest(&reference(name)).await.unwrap_err());
    }
    assert_eq!((proxy.connections(), outside.connections(), inside.connections()), (before, 0, 0));
}
