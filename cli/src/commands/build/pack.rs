//! What is built: the bytes of a zip, or a directory as one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use builder::ArchiveFile;
use builder::zip::{ArchiveLimits, Refusal};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Directories that no function needs.
const LEFT_OUT: [&str; 3] = [".git", ".hg", ".svn"];

/// The archive to build from, and how much of it there may be. `compression` is for a directory: what stays on this machine
/// is stored, since the layer's writer compresses on all cores, and not at all what it finds in its cache.
///
/// # Errors
/// The path is neither a file nor a directory, or holds something else than files, directories and links.
pub(crate) fn archive(
    source: &Path,
    limits: ArchiveLimits,
    compression: CompressionMethod,
) -> anyhow::Result<(ArchiveFile, ArchiveLimits)> {
    let about = || format!("reading {}", super::shown(source));
    let there = fs::metadata(source).with_context(about)?;
    if !there.is_dir() {
        // Before it is copied: whoever names a disk's image by mistake has no room for another one.
        if there.len() > limits.archive_bytes {
            let refusal = Refusal::ArchiveSize { found: there.len(), limit: limits.archive_bytes };
            return Err(refusal).with_context(about);
        }
        return Ok((ArchiveFile::of(source).with_context(about)?, limits));
    }
    let write = |file: &mut File| -> anyhow::Result<()> {
        let mut zip = ZipWriter::new(BufWriter::with_capacity(256 << 10, file));
        add(&mut zip, source, "", compression)?;
        zip.finish()?.flush()?;
        Ok(())
    };
    // Its own size depends on the compression; what is in it is limited as always.
    Ok((
        ArchiveFile::written(write).with_context(about)?,
        ArchiveLimits { archive_bytes: u64::MAX, ..limits },
    ))
}

/// Adds a directory's entries in the order of their names: the same directory gives the same archive.
fn add(
    zip: &mut ZipWriter<impl Write + Seek>,
    directory: &Path,
    prefix: &str,
    compression: CompressionMethod,
) -> anyhow::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else {
            bail!("the name of {} is not UTF-8", super::shown(&path));
        };
        let options = SimpleFileOptions::default()
            .compression_method(compression)
            .last_modified_time(DateTime::default());
        if name == super::lock::FILE {
            // Of the build, not of the function: a pin changes no image.
        } else if kind.is_dir() {
            if !LEFT_OUT.contains(&name.as_str()) {
                add(zip, &path, &format!("{name}/"), compression)?;
            }
        } else if kind.is_symlink() {
            let target = fs::read_link(&path)?;
            let target = target.to_str().with_context(|| format!("the target of {name} is not UTF-8"))?;
            zip.add_symlink(name, target, options)?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            zip.start_file(name, options.unix_permissions(mode & 0o777))?;
            io::copy(&mut File::open(&path)?, zip)?;
        } else {
            bail!("{} is neither a file, nor a directory, nor a link", super::shown(&path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_the_same_archive_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::create_dir_all(path.join("src")).unwrap();
        fs::create_dir_all(path.join(".git/objects")).unwrap();
        for name in ["src/handler.js", "b", "a", ".git/objects/x"] {
            fs::write(path.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("a", path.join("link")).unwrap();
        let limits = ArchiveLimits::default();
        let (bytes, _) = archive(path, limits, CompressionMethod::Stored).unwrap();
        assert_eq!(*bytes, *archive(path, limits, CompressionMethod::Stored).unwrap().0);
        let zip = zip::ZipArchive::new(io::Cursor::new(&*bytes)).unwrap();
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a", "b", "link", "src/handler.js"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error =
            archive(Path::new("/no/such"), ArchiveLimits::default(), CompressionMethod::Stored).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such"), "{error:#}");
    }
}
