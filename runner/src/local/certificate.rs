//! Opening the certificate and its key for a server that may not.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open as open_file};

use super::config::CertificateFiles;
use crate::RunnerError;

/// Certificate and key.
pub(crate) fn open(files: &CertificateFiles) -> Result<Vec<OwnedFd>, RunnerError> {
    Ok(vec![regular(&files.certificate)?, regular(&files.key)?])
}

/// Never waits: what is no plain file, such as a pipe, is refused.
fn regular(path: &Path) -> Result<OwnedFd, RunnerError> {
    let unavailable =
        |why: String| RunnerError::Unavailable(format!("{} can't be read: {why}", path.display()));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open_file(path, flags, Mode::empty()).map_err(|error| unavailable(error.to_string()))?;
    let kind = fstat(&file).map_err(|error| unavailable(error.to_string()))?.st_mode;
    match FileType::from_raw_mode(kind) {
        FileType::RegularFile => Ok(file),
        _ => Err(unavailable("it is no plain file".to_owned())),
    }
}
