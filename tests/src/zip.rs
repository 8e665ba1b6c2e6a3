//! Archives made in code.

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
};

use anyhow::Context;
use zip::{ZipWriter, write::SimpleFileOptions};

/// Files of an archive, in order.
#[derive(Debug, Clone, Default)]
pub struct Zip {
    files: Vec<(String, Vec<u8>)>,
}

impl Zip {
    /// An archive with one file.
    #[must_use]
    pub fn of(name: &str, content: &str) -> Self {
        Self::default().file(name, content)
    }

    /// One more file.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.as_bytes().to_vec()));
        self
    }

    /// All files below a folder, sorted, without the expected answers that lie beside examples.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Self> {
        let mut archive = Self::default();
        archive.add_folder(folder, "")?;
        archive.files.sort();
        Ok(archive)
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let file_name = entry.file_name();
            let name = format!("{prefix}{}", file_name.to_str().context("a file name that is not UTF-8")?);
            if entry.file_type()?.is_dir() {
                self.add_folder(&entry.path(), &format!("{name}/"))?;
            } else if name != "example.json" {
                self.files.push((name, fs::read(entry.path())?));
            }
        }
        Ok(())
    }

    /// The same archive without one file.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.files.retain(|(file, _)| file != name);
        self
    }

    /// The same archive without what lies below a folder.
    #[must_use]
    pub fn without_folder(mut self, name: &str) -> Self {
        let prefix = format!("{name}/");
        self.files.retain(|(file, _)| !file.starts_with(&prefix));
        self
    }

    /// The archive's bytes.
    ///
    /// # Panics
    /// Never: memory can be written.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in &self.files {
            writer.start_file(name, SimpleFileOptions::default()).expect("memory can be written");
            writer.write_all(content).expect("memory can be written");
        }
        writer.finish().expect("memory can be written").into_inner()
    }
}
