//! An archive as bytes that nobody can change: a copy in a file without a name, mapped into memory. However
//! large it is, it needs no memory of its own, unless temporary files lie in memory, and another program that shortens or writes the original does not
//! harm the build.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// Archives up to this many bytes are simply read.
const SMALL: u64 = 256 << 10;
/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// The bytes of an archive.
#[derive(Debug)]
pub struct ArchiveFile(Bytes);

#[derive(Debug)]
enum Bytes {
    Memory(Vec<u8>),
    Mapped(Mmap),
}

impl ArchiveFile {
    /// Takes an archive as it is now.
    ///
    /// # Errors
    /// It cannot be read, or there is no room for temporary files.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() <= SMALL {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok(Self(Bytes::Memory(bytes)));
        }
        let mut copy = tempfile::tempfile()?;
        // The kernel copies, or shares the blocks where the file system can.
        io::copy(&mut file, &mut copy)?;
        Self::mapped(&copy)
    }

    /// Takes an archive as it is now, and shows all of its bytes to `seen` on the way. The copy lies where the
    /// archive does: for a program that may write in its own folders only.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn seen_by(path: &Path, seen: &mut dyn FnMut(&[u8])) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut copy = tempfile::tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                return Self::mapped(&copy);
            }
            seen(&piece[..read]);
            copy.write_all(&piece[..read])?;
        }
    }

    /// Makes an archive: `write` writes it.
    ///
    /// # Errors
    /// `write`'s, or there is no room for temporary files.
    pub fn written<E: From<io::Error>>(write: impl FnOnce(&mut File) -> Result<(), E>) -> Result<Self, E> {
        let mut file = tempfile::tempfile()?;
        write(&mut file)?;
        Ok(Self::mapped(&file)?)
    }

    /// Maps a file that was made here and has no name.
    fn mapped(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self(Bytes::Memory(Vec::new())));
        }
        // SAFETY: a mapping is sound as long as nobody changes or shortens the file. This one was opened by the
        // callers above with `tempfile`, so it has no name that another program could open; they drop their
        // only descriptor when the mapping is made, and nothing here writes through it afterwards.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(Bytes::Mapped(map)))
    }
}

impl AsRef<[u8]> for ArchiveFile {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Deref for ArchiveFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Memory(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_the_original_does_not_matter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.zip");
        let bytes: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut seen = Vec::new();
        let taken = [
            ArchiveFile::of(&path).unwrap(),
            ArchiveFile::seen_by(&path, &mut |piece| seen.extend_from_slice(piece)).unwrap(),
            ArchiveFile::written(|file| file.write_all(&bytes)).unwrap(),
        ];
        // In place, so that a mapping of the original would fault.
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert!(taken.iter().all(|archive| **archive == *bytes));
        assert_eq!(seen, bytes);
        assert!(ArchiveFile::of(&path).unwrap().is_empty());
        assert!(ArchiveFile::seen_by(&path, &mut |_| {}).unwrap().is_empty());
    }
}
