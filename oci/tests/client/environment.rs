//! Proxies of the environment. Each case is a process of its own: the environment is the process's.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use oci::client::{Client, Guard, Options, Retry};

/// A small proxy: notes the first line of each connection, and connects or passes on.
struct Proxy {
    address: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Everything goes to `target`, whatever host was asked for.
    fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = lines.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (lines, target) = (shared.clone(), target.clone());
                std::thread::spawn(move || drop(pass(client, &lines, &target)));
            }
        });
        Self { address, lines }
    }
}

fn pass(mut client: TcpStream, lines: &Mutex<Vec<String>>, target: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    lines.lock().unwrap().push(text.clone());
    let mut server = TcpStream::connect(target)?;
    if text.starts_with("CONNECT") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        server.write_all(&head)?;
    }
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut server, &mut client)?;
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = up.join();
    Ok(())
}

/// What the child does: asks for a manifest and prints how that went.
#[tokio::test]
async fn child_asks_for_a_manifest() {
    // Only when one of the tests below started it.
    let Ok(reference) = std::env::var("TEST_ASK_FOR") else { return };
    let retry = Retry { attempts: 1, ..Retry::default() };
    let plain_http = std::env::var("TEST_PLAIN").is_ok();
    let guard = std::env::var("TEST_GUARDED").is_ok().then(|| Guard::new(Vec::new()));
    let client = Client::new(Options { plain_http, retry, guard, ..Options::default() }).unwrap();
    match client.manifest(&reference.parse().unwrap()).await {
        Ok((_, media_type, _)) => println!("asked: {media_type}"),
        Err(error) => println!("asked: {error}"),
    }
}

fn ask(reference: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "environment::child_asks_for_a_manifest", "--nocapture"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.env("TEST_ASK_FOR", reference).envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.split_once("asked: ")).unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

/// A plain server that answers any GET with a manifest.
fn registry() -> String {
    let server = crate::raw::Raw::start(|_, _| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-test\r\nContent-Length: 2\r\n\r\n{}";
        Some(crate::raw::Fault::Answer(head.to_owned()))
    });
    server.address
}

#[test]
fn a_registry_with_tls_is_reached_through_the_proxy_of_the_environment() {
    let proxy = Proxy::start(registry());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        // The far end speaks no TLS: that the proxy was asked to connect is the point.
        ask("registry.example/a:1", &[(name, &format!("http://{}", proxy.address))]);
        let line = proxy.lines.lock().unwrap().pop().unwrap_or_else(|| panic!("{name} was not used"));
        assert!(line.starts_with("CONNECT registry.example:443 "), "{line}");
    }
    let with_password = format!("http://me:secret-word@{}", proxy.address);
    let said = ask("registry.example/a:1", &[("HTTPS_PROXY", &with_password)]);
    let line = proxy.lines.lock().unwrap().pop().unwrap();
    assert!(line.to_lowercase().contains("proxy-authorization: basic"), "{line}");
    assert!(!said.contains("secret-word"), "{said}");
}

#[test]
fn a_guarded_client_does_not_use_the_proxy_of_the_environment() {
    let proxy = Proxy::start(registry());
    let at = format!("http://{}", proxy.address);
    for name in ["HTTPS_PROXY", "ALL_PROXY", "https_proxy"] {
        let said = ask("registry.example/a:1", &[(name, &at), ("TEST_GUARDED", "1")]);
        assert!(proxy.lines.lock().unwrap().is_empty(), "{name}: {said}");
    }
}

#[test]
fn no_proxy_is_kept() {
    let proxy = Proxy::start(registry());
    let at = format!("http://{}", proxy.address);
    for exception in ["registry.example", ".example", "*", "other.test, registry.example"] {
        let said = ask("registry.example/a:1", &[("HTTPS_PROXY", &at), ("NO_PROXY", exception)]);
        assert!(proxy.lines.lock().unwrap().is_empty(), "{exception}: {said}");
    }
}

#[test]
fn a_registry_without_tls_is_reached_through_its_proxy_unless_it_is_on_this_machine() {
    let registry = registry();
    let proxy = Proxy::start(registry.clone());
    let environment = |name: &'static str| [(name, format!("http://{}", proxy.address))];
    for name in ["HTTP_PROXY", "http_proxy"] {
        let [(name, value)] = environment(name);
        let said = ask("registry.example:5000/a:1", &[(name, &value), ("TEST_PLAIN", "1")]);
        assert_eq!(said, "application/x-test");
        let line = proxy.lines.lock().unwrap().pop().unwrap();
        assert!(line.starts_with("GET http://registry.example:5000/v2/a/manifests/1 "), "{line}");
        // A registry of this machine is not the proxy's business.
        let here = format!("{registry}/a:1");
        assert_eq!(ask(&here, &[(name, &value), ("TEST_PLAIN", "1")]), "application/x-test");
        assert!(proxy.lines.lock().unwrap().is_empty());
    }
}
