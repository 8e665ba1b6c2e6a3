//! The store's files: content, links, manifests and tags.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::Digest;
use oci::digest::Algorithm;
use oci::reference::{is_repository, is_tag};

use super::collection::Guard;

/// A link that was found within this time is not marked as found again.
const FRESH: Duration = Duration::from_secs(60);

pub(super) const BLOBS: &str = "_blobs";
pub(super) const MANIFESTS: &str = "_manifests";
const TAGS: &str = "_tags";
const REFERRERS: &str = "_referrers";

/// The store on a file system. Cheap to clone; all methods block.
#[derive(Debug, Clone)]
pub struct Disk {
    root: Arc<Path>,
    pub(super) guard: Arc<Guard>,
    fresh: Duration,
}

impl Disk {
    /// Opens or creates the store at `root`, for this process alone.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root: PathBuf = root.into();
        found(fs::remove_dir_all(root.join("temporary")))?;
        for directory in ["temporary", "uploads"] {
            fs::create_dir_all(root.join(directory))?;
        }
        for algorithm in Algorithm::ALL {
            fs::create_dir_all(root.join("blobs").join(algorithm.name()))?;
        }
        fs::create_dir_all(root.join("repositories"))?;
        Ok(Self { root: root.into(), guard: Arc::default(), fresh: FRESH })
    }

    /// The same store, which marks a found blob as used again when that was noted `fresh` ago or longer. Less than
    /// the collector's grace, and as long as can be: a mark is a write.
    #[must_use]
    pub fn with_fresh(self, fresh: Duration) -> Self {
        Self { fresh, ..self }
    }

    /// Opens content by its digest, whatever repository has it. For the server itself.
    pub fn open_blob(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.content(digest))
    }

    /// A manifest by tag or digest: its bytes, its media type and its digest. For the server itself.
    pub fn resolve(&self, repository: &str, target: &str) -> io::Result<Option<(Vec<u8>, String, Digest)>> {
        let digest = match Digest::parse(target) {
            Ok(digest) => Some(digest),
            Err(_) if is_tag(target) => self.tag(repository, target)?,
            Err(_) => None,
        };
        let Some(digest) = digest else { return Ok(None) };
        let link = self.repository(repository)?.join(MANIFESTS).join(digest.hex());
        let Some(media_type) = found(fs::read_to_string(link))? else { return Ok(None) };
        Ok(Some((fs::read(self.content(&digest))?, media_type, digest)))
    }

    /// Whether a repository has ever been written to.
    pub(crate) fn has_repository(&self, repository: &str) -> io::Result<bool> {
        let dir = self.repository(repository)?;
        Ok([BLOBS, MANIFESTS].iter().any(|kind| dir.join(kind).is_dir()))
    }

    /// Opens a blob that is visible in a repository, and its size in bytes.
    pub(crate) fn open_linked(&self, repository: &str, digest: &Digest) -> io::Result<Option<(File, u64)>> {
        // Touched here, so that the content outlives the next line.
        if !self.is_linked(repository, digest)? {
            return Ok(None);
        }
        let Some(file) = found(self.open_blob(digest))? else { return Ok(None) };
        let size = file.metadata()?.len();
        Ok(Some((file, size)))
    }

    pub(crate) fn is_linked(&self, repository: &str, digest: &Digest) -> io::Result<bool> {
        self.find(&self.repository(repository)?.join(BLOBS), digest)
    }

    pub(crate) fn has_manifest(&self, repository: &str, digest: &Digest) -> io::Result<bool> {
        self.find(&self.repository(repository)?.join(MANIFESTS), digest)
    }

    /// Whether a directory links content. Whoever is told that it is there may name it next: for the collector it is
    /// young again.
    fn find(&self, directory: &Path, digest: &Digest) -> io::Result<bool> {
        let _kept = self.guard.touch(digest);
        let link = directory.join(digest.hex());
        let Some(about) = found(fs::metadata(&link))? else { return Ok(false) };
        if about.modified()?.elapsed().is_ok_and(|age| age >= self.fresh) {
            File::options().write(true).open(&link)?.set_modified(SystemTime::now())?;
        }
        Ok(true)
    }

    /// Makes a blob of the store visible in a repository.
    pub(crate) fn link(&self, repository: &str, digest: &Digest) -> io::Result<()> {
        let _kept = self.guard.touch(digest);
        self.make_link(repository, digest)
    }

    /// With the digest touched: a lock that is held is not taken again.
    fn make_link(&self, repository: &str, digest: &Digest) -> io::Result<()> {
        let dir = self.repository(repository)?.join(BLOBS);
        fs::create_dir_all(&dir)?;
        File::create(dir.join(digest.hex())).map(drop)
    }

    /// Takes a blob out of a repository. Returns whether it was there.
    pub(crate) fn unlink(&self, repository: &str, digest: &Digest) -> io::Result<bool> {
        let link = self.repository(repository)?.join(BLOBS).join(digest.hex());
        Ok(found(fs::remove_file(link))?.is_some())
    }

    /// Gives a complete file its place as content, and makes it visible in a repository.
    pub(crate) fn adopt(&self, file: &Path, repository: &str, digest: &Digest) -> io::Result<()> {
        let _kept = self.guard.touch(digest);
        fs::rename(file, self.content(digest))?;
        self.make_link(repository, digest)
    }

    /// Stores a manifest under its digest, and points a tag to it when there is one.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        bytes: &[u8],
        media_type: &str,
        digest: &Digest,
    ) -> io::Result<()> {
        let _kept = self.guard.touch(digest);
        let dir = self.repository(repository)?;
        let content = self.content(digest);
        if !content.try_exists()? {
            self.write(&content, bytes)?;
        }
        fs::create_dir_all(dir.join(MANIFESTS))?;
        self.write(&dir.join(MANIFESTS).join(digest.hex()), media_type.as_bytes())?;
        if let Some(tag) = tag {
            fs::create_dir_all(dir.join(TAGS))?;
            self.write(&dir.join(TAGS).join(checked(is_tag(tag), tag)?), digest.as_str().as_bytes())?;
        }
        Ok(())
    }

    /// Notes that a manifest's subject is another one. Before the manifest itself, so that none is forgotten.
    pub(crate) fn refer(&self, repository: &str, subject: &Digest, manifest: &Digest) -> io::Result<()> {
        let dir = self.repository(repository)?.join(REFERRERS).join(subject.hex());
        fs::create_dir_all(&dir)?;
        File::create(dir.join(manifest.hex())).map(drop)
    }

    /// The manifests whose subject is this one, in the order of their digests; one of them may be gone.
    pub(crate) fn referrers(&self, repository: &str, subject: &Digest) -> io::Result<Vec<Digest>> {
        let dir = self.repository(repository)?.join(REFERRERS).join(subject.hex());
        let Some(entries) = found(fs::read_dir(dir))? else { return Ok(Vec::new()) };
        let mut digests = Vec::new();
        for entry in entries {
            digests.push(named(&entry?.file_name().to_string_lossy())?);
        }
        digests.sort_unstable_by(|a: &Digest, b| a.as_str().cmp(b.as_str()));
        Ok(digests)
    }

    /// Takes a tag away. Returns whether it was there.
    pub(crate) fn delete_tag(&self, repository: &str, tag: &str) -> io::Result<bool> {
        let path = self.repository(repository)?.join(TAGS).join(checked(is_tag(tag), tag)?);
        Ok(found(fs::remove_file(path))?.is_some())
    }

    /// Takes a manifest and the tags that point to it away. Returns whether it was there.
    pub(crate) fn delete_manifest(&self, repository: &str, digest: &Digest) -> io::Result<bool> {
        for tag in self.tags(repository)? {
            if self.tag(repository, &tag)?.as_ref() == Some(digest) {
                self.delete_tag(repository, &tag)?;
            }
        }
        let link = self.repository(repository)?.join(MANIFESTS).join(digest.hex());
        Ok(found(fs::remove_file(link))?.is_some())
    }

    /// All tags of a repository, in byte order.
    pub(crate) fn tags(&self, repository: &str) -> io::Result<Vec<String>> {
        let Some(entries) = found(fs::read_dir(self.repository(repository)?.join(TAGS)))? else {
            return Ok(Vec::new());
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let mut tags = names.collect::<io::Result<Vec<_>>>()?;
        tags.sort_unstable();
        Ok(tags)
    }

    /// The directory below which repositories lie, and the one of an algorithm's content.
    pub(super) fn places(&self, algorithm: Algorithm) -> (PathBuf, PathBuf) {
        (self.root.join("repositories"), self.root.join("blobs").join(algorithm.name()))
    }

    /// Where uploads under way are kept.
    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Where an upload's bytes are kept.
    pub(crate) fn upload_path(&self, id: uuid::Uuid) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    pub(super) fn tag(&self, repository: &str, tag: &str) -> io::Result<Option<Digest>> {
        let path = self.repository(repository)?.join(TAGS).join(checked(is_tag(tag), tag)?);
        let Some(text) = found(fs::read_to_string(path))? else { return Ok(None) };
        Digest::parse(&text).map(Some).map_err(io::Error::other)
    }

    pub(super) fn content(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// A repository's directory. Names are checked here too, so that no caller can leave the store.
    pub(super) fn repository(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.root.join("repositories").join(checked(is_repository(name), name)?))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.root.join("temporary").join(uuid::Uuid::new_v4().to_string());
        fs::write(&temporary, bytes)?;
        fs::rename(&temporary, path)
    }
}

/// Runs something that blocks where it may.
pub(crate) async fn blocking<T, F>(work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn checked(valid: bool, name: &str) -> io::Result<&str> {
    if valid {
        Ok(name)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no valid name")))
    }
}

/// The digest of a link's name: the number of its digits tells the algorithm.
pub(super) fn named(hex: &str) -> io::Result<Digest> {
    let fits = |known: &&Algorithm| known.digits() == hex.len();
    let algorithm = Algorithm::ALL.iter().find(fits).copied().unwrap_or_default();
    Digest::parse(&format!("{}:{hex}", algorithm.name())).map_err(io::Error::other)
}

/// `None` for what does not exist.
pub(super) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        for name in ["../x", "/etc", "a/../b", "_blobs", ""] {
            assert!(disk.link(name, &Digest::of(b"")).is_err(), "{name}");
            assert!(disk.put_manifest(name, None, b"{}", "m", &Digest::of(b"{}")).is_err(), "{name}");
        }
        assert!(disk.put_manifest("a", Some("../t"), b"{}", "m", &Digest::of(b"{}")).is_err());
        assert!(disk.resolve("a", "../t").unwrap().is_none());
    }

    #[test]
    fn tags_move_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        disk.put_manifest("a", Some("latest"), b"1", "m", &one).unwrap();
        disk.put_manifest("a", Some("latest"), b"2", "m", &two).unwrap();
        disk.put_manifest("a", Some("2"), b"2", "m", &two).unwrap();
        assert_eq!(disk.resolve("a", "latest").unwrap().unwrap(), (b"2".to_vec(), "m".into(), two.clone()));
        assert_eq!(disk.resolve("a", one.as_str()).unwrap().unwrap().2, one);
        assert!(disk.resolve("b", one.as_str()).unwrap().is_none(), "another repository's manifest");
        assert!(disk.delete_manifest("a", &two).unwrap());
        assert_eq!(disk.tags("a").unwrap(), Vec::<String>::new());
        assert!(!disk.delete_manifest("a", &two).unwrap());
    }

    #[test]
    fn leftovers_go_at_start() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        fs::write(disk.upload_path(uuid::Uuid::new_v4()), b"nobody's").unwrap();
        let old = disk.upload_path(uuid::Uuid::new_v4());
        fs::write(&old, b"x").unwrap();
        fs::write(old.with_extension("owner"), "a").unwrap();
        File::options().write(true).open(&old).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::write(dir.path().join("temporary/x"), b"x").unwrap();
        let digest = Digest::of(b"1");
        disk.put_manifest("a", None, b"1", "m", &digest).unwrap();
        let again = Disk::open(dir.path()).unwrap();
        assert!(again.unfinished_uploads().unwrap().is_empty());
        for directory in ["uploads", "temporary"] {
            assert_eq!(fs::read_dir(dir.path().join(directory)).unwrap().count(), 0, "{directory}");
        }
        assert!(again.open_blob(&digest).is_ok());
    }
}
