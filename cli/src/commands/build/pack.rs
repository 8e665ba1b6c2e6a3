//! What is built: the bytes of a zip, or a directory as one.

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Directories that no function needs.
const LEFT_OUT: [&str; 3] = [".git", ".hg", ".svn"];

/// The archive to build from.
///
/// # Errors
/// The path is neither a file nor a directory, or holds something else than files, directories and links.
pub(super) fn archive(source: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || format!("reading {}", super::shown(source));
    let kind = fs::metadata(source).with_context(about)?;
    if !kind.is_dir() {
        return fs::read(source).with_context(about);
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    add(&mut zip, source, "").with_context(about)?;
    Ok(zip.finish()?.into_inner())
}

/// Adds a directory's entries in the order of their names: the same directory gives the same archive.
fn add(zip: &mut ZipWriter<Cursor<Vec<u8>>>, directory: &Path, prefix: &str) -> anyhow::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else {
            bail!("the name of {} is not UTF-8", super::shown(&path));
        };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default());
        if name == super::lock::FILE {
            // Of the build, not of the function: a pin changes no image.
        } else if kind.is_dir() {
            if !LEFT_OUT.contains(&name.as_str()) {
                add(zip, &path, &format!("{name}/"))?;
            }
        } else if kind.is_symlink() {
            let target = fs::read_link(&path)?;
            let target = target.to_str().with_context(|| format!("the target of {name} is not UTF-8"))?;
            zip.add_symlink(name, target, options)?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            zip.start_file(name, options.unix_permissions(mode & 0o777))?;
            zip.write_all(&fs::read(&path)?)?;
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
        let bytes = archive(path).unwrap();
        assert_eq!(bytes, archive(path).unwrap());
        let zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a", "b", "link", "src/handler.js"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = archive(Path::new("/no/such")).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such"), "{error:#}");
    }
}
