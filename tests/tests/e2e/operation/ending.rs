//! The end, asked for by SIGTERM.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use zipship_tests::{Function, Server, Spec, Zip};

const NODE: Spec<'_> = Spec { runtime: "node10", handler: "handler.handle", privacy: "public" };
const READ_LIMIT: Duration = Duration::from_secs(20);

/// What one caller with a kept connection saw until nobody listened any more.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    closed: usize,
    /// Other answers than 200.
    not_ready: usize,
}

/// One request after the other on kept connections. An answer that does not come is an error; that nobody listens is
/// the end.
fn keep_asking(address: &str, request: &str) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut kept = None;
    loop {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(address) {
                Ok(stream) => stream,
                Err(_) => return Ok(seen),
            },
        };
        stream.set_read_timeout(Some(READ_LIMIT))?;
        stream.write_all(request.as_bytes()).context("a request on a connection that was open")?;
        let head = answer(&mut stream).with_context(|| format!("after {seen:?}"))?;
        seen.answers += 1;
        seen.not_ready += usize::from(!head.starts_with("http/1.1 200"));
        match head.contains("connection: close") {
            true => seen.closed += 1,
            false => kept = Some(stream),
        }
    }
}

/// One whole answer; its head in lower case.
fn answer(stream: &mut TcpStream) -> anyhow::Result<String> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut piece)? {
            0 => bail!(
                "the connection was closed without an answer; so far: {:?}",
                String::from_utf8_lossy(&bytes)
            ),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("a length")?.trim().parse()?;
    let missing = (end + length).saturating_sub(bytes.len());
    stream.read_exact(&mut vec![0; missing]).context("the rest of an answer")?;
    Ok(head)
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_no_request_on_kept_connections() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[("ZIPSHIP_DRAIN", "1000"), ("ZIPSHIP_KEY_RATE", "0")])?;
    let code = "module.exports.handle = (event) => new Promise((done) => setTimeout(() => done('a'), Number(event.path.slice(1))));\n";
    let function = Function::deployed(server.api(), NODE, &Zip::of("handler.js", code)).await?;
    let address = server.api().url().trim_start_matches("http://").to_owned();
    let (host, key) = (format!("Host: {address}\r\n"), server.api().key());
    let call = |ms: u32| format!("GET /f/{}/{ms} HTTP/1.1\r\n{host}\r\n", function.id);
    let api = format!(
        "GET /functions/v1alpha2/regions/fr-par/runtimes HTTP/1.1\r\n{host}X-Auth-Token: {key}\r\n\r\n"
    );
    let ready = format!("GET /readyz HTTP/1.1\r\n{host}\r\n");

    let slow_sent = Arc::new(AtomicBool::new(false));
    let slow = {
        let (address, request, sent) = (address.clone(), call(4000), Arc::clone(&slow_sent));
        thread::spawn(move || -> anyhow::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(READ_LIMIT))?;
            stream.write_all(request.as_bytes())?;
            sent.store(true, Ordering::SeqCst);
            answer(&mut stream)
        })
    };
    let requests = [call(0), call(20), call(50), api.clone(), api, ready];
    let callers: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let address = address.clone();
            thread::spawn(move || keep_asking(&address, &request))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(slow_sent.load(Ordering::SeqCst));
    let mut server = tokio::task::spawn_blocking(move || server.halt().map(|()| server)).await??;

    let mut all = Vec::new();
    for caller in callers {
        all.push(caller.join().expect("a caller")?);
    }
    for seen in &all {
        ensure!(seen.answers > 5 && seen.closed > 0, "{all:?}");
    }
    ensure!(all.last().is_some_and(|ready| ready.not_ready > 0), "readyz was 503 before the end: {all:?}");
    ensure!(all[..5].iter().all(|seen| seen.not_ready == 0), "nobody else was: {all:?}");
    ensure!(slow.join().expect("a caller")?.starts_with("http/1.1 200"), "what ran was answered");
    // What was deployed serves again.
    server.launch(&[])?;
    assert_eq!(function.call().await?.text(), "a");
    server.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_under_way_at_sigterm_is_taken_up_again_at_the_next_start() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    server.launch(&[])?;
    let function = Function::create(server.api(), NODE).await?;
    let slow = "const begin = Date.now();\nwhile (Date.now() - begin < 2000) {}\nmodule.exports.handle = async () => 'a';\n";
    function.upload(&Zip::of("handler.js", slow).bytes()).await?;
    let path = format!("functions/{}/deploy", function.id);
    let _ = server.api().post(&path, &serde_json::json!({})).await?.expect(200);
    let deadline = tokio::time::Instant::now() + READ_LIMIT;
    while !server.log().contains(r#""step":"pushing""#) {
        ensure!(tokio::time::Instant::now() < deadline, "the deploy does not push:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.halt()?;
    server.launch(&[])?;
    assert_eq!(function.settled().await?["status"], "ready");
    assert_eq!(function.call().await?.text(), "a");
    server.stop()
}
