//! The other readers.

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::{Seen, digest};

/// A Python that reads one archive after the other.
pub(super) struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    pub(super) fn start() -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", include_str!("zipfile_peer.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // It warns of duplicates, at length.
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// What Python sees; `None` when it refuses.
    pub(super) fn view(&mut self, archive: &[u8]) -> Option<Vec<Seen>> {
        self.input.write_all(&(archive.len() as u32).to_le_bytes()).unwrap();
        self.input.write_all(archive).unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let entry = |entry: &Value| Seen {
            name: entry[0].as_str().unwrap().to_owned(),
            host: entry[1].as_u64().unwrap() as u8,
            mode: entry[2].as_u64().unwrap() as u32,
            digest: entry[3].as_str().unwrap().to_owned(),
        };
        answer["entries"].as_array().map(|entries| entries.iter().map(entry).collect())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the crate `zip` sees; `None` when it refuses.
pub(super) fn rust(archive: &[u8]) -> Option<Vec<Seen>> {
    let mut reader = zip::ZipArchive::new(Cursor::new(archive)).ok()?;
    let (mut seen, hosts) = (Vec::new(), hosts(archive));
    for i in 0..reader.len() {
        let mut file = reader.by_index(i).ok()?;
        let mut bytes = Vec::new();
        file.by_ref().take(64 << 20).read_to_end(&mut bytes).ok()?;
        let name = file.name().ok()?.into_owned();
        let mode = if file.is_symlink() { 0o120_777 } else { 0 };
        let host = hosts.iter().find(|(name, _)| *name == file.name_raw()).map_or(3, |(_, host)| *host);
        seen.push(Seen { name, host, mode, digest: digest(&bytes) });
    }
    Some(seen)
}

/// Names as they are stored, and who made the entries, which `zip` does not tell.
fn hosts(archive: &[u8]) -> Vec<(&[u8], u8)> {
    let records = archive.windows(46).enumerate().filter(|(_, window)| window.starts_with(b"PK\x01\x02"));
    let name = |at: usize, record: &[u8]| archive.get(at + 46..at + 46 + usize::from(record[28]));
    records.map(|(at, record)| (name(at, record).unwrap_or_default(), record[5])).collect()
}
