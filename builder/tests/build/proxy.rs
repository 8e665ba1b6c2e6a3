//! A module proxy of these tests' own, which can be as hostile as it likes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use builder::golang::modules::ModuleProxy;
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What is answered to a path.
#[derive(Clone)]
pub(crate) enum Reply {
    File(Vec<u8>),
    /// Another place.
    Redirect(String),
    /// A head that promises so many bytes, which follow as zeros.
    Endless(u64),
    /// Nothing, for longer than anybody waits.
    Silence,
    Status(u16),
}

/// Serves on loopback until the tests end; remembers what it was asked.
pub(crate) struct Proxy {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start(replies: BTreeMap<String, Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (replies, log) = (replies.clone(), Arc::clone(&log));
                // Whoever asked may have gone: that is what some tests are about.
                std::thread::spawn(move || drop(answer(stream, &replies, &log)));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn client(&self) -> Option<ModuleProxy> {
        ModuleProxy::parse(&format!("{},direct", self.address)).unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    replies: &BTreeMap<String, Reply>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let reply = replies.get(&path).cloned().unwrap_or(Reply::Status(404));
    log.lock().unwrap().push(path);
    let head = |status: u16, length: u64, more: &str| {
        format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n")
    };
    match reply {
        Reply::File(bytes) => {
            stream.write_all(head(200, bytes.len() as u64, "").as_bytes())?;
            stream.write_all(&bytes)
        }
        Reply::Redirect(to) => stream.write_all(head(302, 0, &format!("location: {to}\r\n")).as_bytes()),
        Reply::Status(status) => stream.write_all(head(status, 0, "").as_bytes()),
        Reply::Endless(length) => {
            stream.write_all(head(200, length, "").as_bytes())?;
            loop {
                stream.write_all(&[0; 64 << 10])?;
            }
        }
        Reply::Silence => {
            std::thread::sleep(Duration::from_secs(120));
            Ok(())
        }
    }
}

/// A version of a module, as a proxy has it.
#[derive(Clone)]
pub(crate) struct Module {
    pub(crate) path: &'static str,
    pub(crate) gomod: String,
    pub(crate) zip: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
}

pub(crate) const VERSION: &str = "v1.0.0";

impl Module {
    /// One package with this source.
    pub(crate) fn new(path: &'static str, source: &str) -> Self {
        Self::with(path, &[("lib.go", source)])
    }

    pub(crate) fn with(path: &'static str, sources: &[(&str, &str)]) -> Self {
        let gomod = format!("module {path}\n\ngo 1.21\n");
        let mut files = vec![(format!("{path}@{VERSION}/go.mod"), gomod.clone().into_bytes())];
        files.extend(
            sources.iter().map(|(name, text)| (format!("{path}@{VERSION}/{name}"), text.as_bytes().to_vec())),
        );
        let zip = zip_of(&files);
        Self { path, gomod, zip, files }
    }

    /// The lines of go.sum, as Go computes them (golang.org/x/mod/sumdb/dirhash, Hash1).
    pub(crate) fn sums(&self) -> String {
        let gomod = [("go.mod".to_owned(), self.gomod.clone().into_bytes())];
        let Self { path, files, .. } = self;
        format!("{path} {VERSION} {}\n{path} {VERSION}/go.mod {}\n", hash(files), hash(&gomod))
    }

    pub(crate) fn replies(&self) -> BTreeMap<String, Reply> {
        let of = |extension: &str| format!("/{}/@v/{VERSION}.{extension}", self.path);
        let info = format!(r#"{{"Version":"{VERSION}","Time":"2020-01-01T00:00:00Z"}}"#);
        BTreeMap::from([
            (of("info"), Reply::File(info.into_bytes())),
            (of("mod"), Reply::File(self.gomod.clone().into_bytes())),
            (of("zip"), Reply::File(self.zip.clone())),
        ])
    }
}

pub(crate) fn zip_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn hash(files: &[(String, Vec<u8>)]) -> String {
    let mut files: Vec<_> = files.iter().collect();
    files.sort();
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let lines: String = files.iter().map(|(name, bytes)| format!("{}  {name}\n", hex(bytes))).collect();
    format!("h1:{}", STANDARD.encode(Sha256::digest(lines)))
}
