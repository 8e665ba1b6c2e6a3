//! One file from one mirror. What arrived before a connection broke is kept and gone on with, in this run or the next.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use bytes::Bytes;
use oci::Digest;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};

use super::super::{Locked, Progress};
use super::root_cause;

/// What one mirror answered.
pub(super) enum Answer {
    /// All the bytes that the lock names.
    Right(Bytes),
    /// Something else, with this SHA-256.
    Other(String),
    /// Nothing usable; the reason.
    None(String),
}

/// The bytes of one file that have come so far: in memory, and in a file beside the downloads.
pub(super) struct Part {
    bytes: Vec<u8>,
    /// None where another process is fetching the same file, or nothing can be written.
    file: Option<File>,
    path: PathBuf,
}

impl Part {
    /// Goes on with what an earlier run left.
    pub(super) fn open(path: PathBuf, locked: &Locked) -> Self {
        let mut part = Self { bytes: Vec::new(), file: None, path };
        if let Some(folder) = part.path.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let options = OpenOptions::new().read(true).append(true).create(true).open(&part.path);
        part.file = options.ok().filter(|file| file.try_lock().is_ok());
        if let Some(file) = &mut part.file {
            let read = file.read_to_end(&mut part.bytes);
            if read.is_err() || part.bytes.len() as u64 > locked.size {
                part.restart();
            }
        }
        part
    }

    fn append(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // A full disk is noticed when the whole file is written.
        if self.file.as_mut().is_some_and(|file| file.write_all(chunk).is_err()) {
            self.restart_file();
            self.file = None;
        }
    }

    fn restart(&mut self) {
        self.bytes.clear();
        self.restart_file();
    }

    fn restart_file(&mut self) {
        if let Some(file) = &mut self.file {
            let _ = file.set_len(0).and_then(|()| file.rewind());
        }
    }

    /// Takes the file away: it is complete, or worth nothing.
    fn remove(&mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.bytes.is_empty() {
            self.remove();
        }
    }
}

/// Asks for the file, or for the rest of it.
pub(super) async fn ask(
    client: &Client,
    url: &str,
    locked: &Locked,
    part: &mut Part,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Answer {
    let resumed = part.bytes.len() as u64;
    match transfer(client, url, locked, part, progress).await {
        // The beginning may have been another file's: once more from the start.
        Answer::Other(_) if resumed > 0 => transfer(client, url, locked, part, progress).await,
        answer => answer,
    }
}

async fn transfer(
    client: &Client,
    url: &str,
    locked: &Locked,
    part: &mut Part,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Answer {
    let have = part.bytes.len() as u64;
    if have < locked.size {
        let mut request = client.get(url);
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        let mut response = match request.send().await {
            Ok(response) if response.status().is_success() => response,
            Ok(response) => return Answer::None(response.status().to_string()),
            Err(error) => return Answer::None(root_cause(&error.without_url())),
        };
        if !goes_on_at(&response, have) {
            part.restart();
        }
        progress(Progress::Received { bytes: part.bytes.len() as u64 });
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    progress(Progress::Received { bytes: chunk.len() as u64 });
                    part.append(&chunk);
                    if part.bytes.len() as u64 > locked.size {
                        part.restart();
                        return Answer::Other(format!("more than the {} bytes of the lock", locked.size));
                    }
                }
                Ok(None) => break,
                Err(error) => return Answer::None(root_cause(&error.without_url())),
            }
        }
    }
    let found = Digest::of(&part.bytes);
    if found.hex() == locked.sha256 {
        part.remove();
        return Answer::Right(Bytes::from(std::mem::take(&mut part.bytes)));
    }
    part.restart();
    Answer::Other(found.hex().to_owned())
}

/// Whether the answer is the rest that was asked for.
fn goes_on_at(response: &Response, have: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {have}-")))
}
