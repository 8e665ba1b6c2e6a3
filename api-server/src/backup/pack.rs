//! Files to one tar file, each with its digest in the manifest.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{
    BackupError, Manifest, Packed, file,
    manifest::{DIGEST_NAME, NAME},
};
use crate::store::hex;

/// Told how many bytes of how many are done.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

const BUFFER: usize = 1 << 20;

/// Writes all files below `from`, then the manifest, which has them then, and its digest.
pub(super) fn pack(
    from: &Path,
    manifest: &mut Manifest,
    output: File,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    let mut paths = Vec::new();
    list(from, &mut paths)?;
    paths.sort_unstable();
    let sizes = paths.iter().map(|path| fs::metadata(path).map(|about| about.len()).map_err(file(path)));
    let all: u64 = sizes.sum::<Result<u64, BackupError>>()?;
    let mut tar = Builder::new(BufWriter::with_capacity(BUFFER, output));
    let mut done = 0;
    for path in paths {
        let name = path.strip_prefix(from).unwrap_or(&path).to_string_lossy().into_owned();
        let opened = File::open(&path).map_err(file(&path))?;
        let size = opened.metadata().map_err(file(&path))?.len();
        let mut reader = Hashing { inner: opened.take(size), hasher: Sha256::new(), path: &path };
        tar.append_data(&mut header(size), &name, &mut reader).map_err(BackupError::Output)?;
        manifest.files.push(Packed { path: name, size, sha256: hex(&reader.hasher.finalize()) });
        done += size;
        progress(done, all);
    }
    #[expect(clippy::expect_used, reason = "a struct of strings and numbers always serialises")]
    let text = serde_json::to_vec_pretty(manifest).expect("a struct of strings and numbers");
    let digest = format!("{}  {NAME}\n", hex(&Sha256::digest(&text)));
    for (name, bytes) in [(NAME, text.as_slice()), (DIGEST_NAME, digest.as_bytes())] {
        tar.append_data(&mut header(bytes.len() as u64), name, bytes).map_err(BackupError::Output)?;
    }
    let written = tar.into_inner().and_then(|mut writer| writer.flush());
    written.map_err(BackupError::Output)
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(size);
    header
}

fn list(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), BackupError> {
    for entry in fs::read_dir(directory).map_err(file(directory))? {
        let path = entry.map_err(file(directory))?.path();
        if path.is_dir() { list(&path, paths)? } else { paths.push(path) }
    }
    Ok(())
}

/// Hashes what goes through it; names the file when it cannot be read.
struct Hashing<'a, R> {
    inner: R,
    hasher: Sha256,
    path: &'a Path,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display()));
        let read = self.inner.read(buffer).map_err(named)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
