//! A registry on a bare socket, for what a proper HTTP server does not do: connections that break in the middle of a
//! body, answers that are cut, readers that are slow. It keeps upload sessions, byte by byte.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::{Digest, Reference};

/// What happens instead of a proper answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection breaks after so many bytes of the body; the registry keeps them.
    Reset(usize),
    /// This is answered, after the body was read and thrown away.
    Answer(String),
    /// The body is taken in small pieces with pauses.
    Slow,
    /// Everything is stored and answered, and the answer is lost.
    Lost,
    /// The answer has no length and ends with the connection, as old proxies do it.
    Old,
}

/// Decides about a request; the number says how many with the same line came before.
type Script = dyn Fn(&Head, usize) -> Option<Fault> + Send + Sync;

/// A request without its body.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Method and path, the session's number replaced by `N`.
    pub(crate) line: String,
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn length(&self) -> usize {
        self.header("content-length").map_or(0, |text| text.parse().unwrap())
    }
}

#[derive(Default)]
struct Kept {
    seen: Vec<Head>,
    sessions: Vec<Vec<u8>>,
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, Vec<u8>>,
}

pub(crate) struct Raw {
    pub(crate) address: String,
    kept: Arc<Mutex<Kept>>,
}

impl Raw {
    pub(crate) fn start(script: impl Fn(&Head, usize) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let (shared, script): (_, Arc<Script>) = (kept.clone(), Arc::new(script));
        // Ends with the process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (kept, script) = (shared.clone(), script.clone());
                std::thread::spawn(move || {
                    let mut connection = BufReader::new(connection);
                    while serve(&mut connection, &kept, script.as_ref()).is_some() {}
                });
            }
        });
        Self { address, kept }
    }

    pub(crate) fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.address)).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.kept.lock().unwrap().seen.iter().map(|head| head.line.clone()).collect()
    }

    pub(crate) fn seen(&self, line: &str) -> Vec<Head> {
        self.kept.lock().unwrap().seen.iter().filter(|head| head.line == line).cloned().collect()
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.kept.lock().unwrap().blobs.contains_key(digest.as_str())
    }

    pub(crate) fn has_manifest(&self, tag: &str) -> bool {
        self.kept.lock().unwrap().manifests.contains_key(tag)
    }
}

/// One request. None: the connection is over.
fn serve(connection: &mut BufReader<TcpStream>, kept: &Mutex<Kept>, script: &Script) -> Option<()> {
    let head = read_head(connection)?;
    let before = {
        let mut kept = kept.lock().unwrap();
        let before = kept.seen.iter().filter(|other| other.line == head.line).count();
        kept.seen.push(head.clone());
        before
    };
    let fault = script(&head, before);
    let mut body = Vec::new();
    match &fault {
        Some(Fault::Reset(after)) => {
            connection.take(*after as u64).read_to_end(&mut body).ok()?;
            let number = session_of(&head.target)?;
            kept.lock().unwrap().sessions[number].extend(body);
            return None;
        }
        Some(Fault::Slow) => {
            while body.len() < head.length() {
                let piece = (head.length() - body.len()).min(256 << 10);
                connection.take(piece as u64).read_to_end(&mut body).ok()?;
                std::thread::sleep(Duration::from_millis(60));
            }
        }
        _ => {
            connection.take(head.length() as u64).read_to_end(&mut body).ok()?;
        }
    }
    let mut answer = match &fault {
        Some(Fault::Answer(text)) => text.clone(),
        _ => answer(&mut kept.lock().unwrap(), &head, body),
    };
    match fault {
        Some(Fault::Lost) => return None,
        Some(Fault::Old) => {
            answer = answer.replace("HTTP/1.1", "HTTP/1.0").replace("Content-Length: 0\r\n", "");
            connection.get_mut().write_all(answer.as_bytes()).ok()?;
            return None;
        }
        _ => {}
    }
    connection.get_mut().write_all(answer.as_bytes()).ok()
}

fn read_head(connection: &mut BufReader<TcpStream>) -> Option<Head> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let (method, rest) = lines.first()?.split_once(' ')?;
    let target = rest.split(' ').next()?.to_owned();
    let path = target.split('?').next()?;
    let path = match session_of(&target) {
        Some(_) => "uploads/N".to_owned(),
        None => path.to_owned(),
    };
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some(Head { line: format!("{method} {path}"), target, headers })
}

/// The number in `/u/3?state=..`.
fn session_of(target: &str) -> Option<usize> {
    target.strip_prefix("/u/")?.split('?').next()?.parse().ok()
}

fn answer(kept: &mut Kept, head: &Head, body: Vec<u8>) -> String {
    let method = head.line.split(' ').next().unwrap();
    if let Some(number) = session_of(&head.target) {
        return in_session(kept, head, method, number, body);
    }
    let last = head.target.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    match method {
        "POST" => {
            kept.sessions.push(Vec::new());
            status("202 Accepted", &place(kept.sessions.len() - 1, 0))
        }
        "HEAD" if kept.blobs.contains_key(&last) => status("200 OK", ""),
        "PUT" => {
            kept.manifests.insert(last, body);
            status("201 Created", "")
        }
        _ => status("404 Not Found", ""),
    }
}

fn in_session(kept: &mut Kept, head: &Head, method: &str, number: usize, body: Vec<u8>) -> String {
    let Some(session) = kept.sessions.get_mut(number) else { return status("404 Not Found", "") };
    match method {
        "GET" => status("204 No Content", &place(number, session.len())),
        "PATCH" => {
            let starts =
                head.header("content-range").map(|range| range.split('-').next().unwrap().to_owned());
            if starts.is_some_and(|starts| starts != session.len().to_string()) {
                return status("416 Range Not Satisfiable", &place(number, session.len()));
            }
            session.extend(body);
            status("202 Accepted", &place(number, session.len()))
        }
        _ => {
            session.extend(body);
            let digest = head.target.rsplit("digest=").next().unwrap().replace("%3A", ":");
            let bytes = std::mem::take(session);
            if Digest::of(&bytes).as_str() != digest {
                return refused("400 Bad Request", "DIGEST_INVALID");
            }
            kept.blobs.insert(digest, bytes);
            status("201 Created", "")
        }
    }
}

/// Each answer names another state, as registries that keep it in the URL do.
fn place(number: usize, length: usize) -> String {
    format!("Location: /u/{number}?state={length}\r\nRange: 0-{}\r\n", length.saturating_sub(1))
}

pub(crate) fn status(line: &str, headers: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\n\r\n")
}

pub(crate) fn refused(line: &str, code: &str) -> String {
    let body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
    format!("HTTP/1.1 {line}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
