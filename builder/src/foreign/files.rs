//! What is in an image: the paths of its layers, one over the other, as a container sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use oci::{Image, Layer};
use tar::EntryType;

use super::ForeignError;

/// Prefix of an entry that removes what lower layers have under the rest of its name.
const WHITEOUT: &str = ".wh.";
/// An entry that removes everything that lower layers have in its directory.
const OPAQUE: &str = ".wh..wh..opq";
/// How many links a path may go through, as Linux has it.
const LINKS: usize = 40;

/// The files of an image by their paths, without a leading slash.
#[derive(Debug, Clone, Default)]
pub struct Files(BTreeMap<String, Node>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Directory,
    File { executable: bool },
    Link(String),
    Other,
}

impl Files {
    /// Reads the layers' lists of files. None: a layer is compressed in a way that is not read here.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub fn of(image: &Image) -> Result<Option<Self>, ForeignError> {
        let mut files = Self::default();
        for layer in &image.layers {
            let layer = layer.layer.as_ref();
            let failed = |error: io::Error| ForeignError::Layer {
                digest: layer.digest().clone(),
                reason: error.to_string(),
            };
            let Some(tar) = unpacked(layer).map_err(failed)? else { return Ok(None) };
            files.add(tar).map_err(failed)?;
        }
        Ok(Some(files))
    }

    /// The absolute path of a program: the first executable of that name in the directories of `path`. A name with a
    /// slash is a path itself.
    #[must_use]
    pub fn program(&self, name: &str, path: &str) -> Option<String> {
        let candidates: Vec<String> = match name.contains('/') {
            true => vec![name.to_owned()],
            false => {
                path.split(':').map(|folder| format!("{}/{name}", folder.trim_end_matches('/'))).collect()
            }
        };
        candidates.into_iter().find(|path| self.is_executable(path))
    }

    fn is_executable(&self, path: &str) -> bool {
        self.resolved(path).is_some_and(|node| *node == Node::File { executable: true })
    }

    /// What a path leads to.
    fn resolved(&self, path: &str) -> Option<&Node> {
        self.0.get(&self.real(path)?)
    }

    /// A path without links in it, as a container that starts in the image follows them; none when they go in circles.
    pub(crate) fn real(&self, path: &str) -> Option<String> {
        let mut left: Vec<String> = components(path);
        left.reverse();
        let mut at: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(component) = left.pop() {
            if component == ".." {
                at.pop();
                continue;
            }
            at.push(component);
            if let Some(Node::Link(target)) = self.0.get(&at.join("/")) {
                links += 1;
                if links > LINKS {
                    return None;
                }
                at.pop();
                if target.starts_with('/') {
                    at.clear();
                }
                left.extend(components(target).into_iter().rev());
            }
        }
        Some(at.join("/"))
    }

    /// Where a link leads, without links in it.
    pub(crate) fn target(&self, link: &str) -> Option<String> {
        match self.0.get(link)? {
            Node::Link(target) => self.real(target),
            _ => None,
        }
    }

    /// Puts one layer's entries over what is there.
    fn add(&mut self, tar: impl Read) -> io::Result<()> {
        let mut own = BTreeSet::new();
        for entry in tar::Archive::new(tar).entries()? {
            self.apply(&entry?, &mut own);
        }
        Ok(())
    }

    /// Puts one entry over what is there. `own` are the paths of the same layer so far: what a layer removes is of the
    /// layers below it.
    pub(crate) fn apply(&mut self, entry: &tar::Entry<'_, impl Read>, own: &mut BTreeSet<String>) -> Change {
        let path = components(&String::from_utf8_lossy(&entry.path_bytes())).join("/");
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let Some(folder) = self.real(folder).filter(|_| name != "..") else { return Change::default() };
        if name == OPAQUE {
            return Change { gone: self.remove(&folder, own), path: None };
        }
        let at = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        if let Some(removed) = name.strip_prefix(WHITEOUT) {
            let removed = at(removed);
            let mut gone = self.remove(&removed, own);
            if !own.contains(&removed) && self.0.remove(&removed).is_some() {
                gone.push(removed);
            }
            return Change { gone, path: None };
        }
        let (path, node) = (at(name), node(entry));
        let before = self.0.get(&path);
        let gone = match (before, &node) {
            (None | Some(Node::Directory), Node::Directory) => Vec::new(),
            // A directory may be there without an entry of its own.
            _ => [vec![path.clone()], self.remove(&path, &BTreeSet::new())].concat(),
        };
        own.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()).chain([path.clone()]));
        self.0.insert(path.clone(), node);
        Change { gone, path: Some(path) }
    }

    /// Removes what lies below a folder and is not to be kept.
    fn remove(&mut self, folder: &str, kept: &BTreeSet<String>) -> Vec<String> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = self.0.range(prefix.clone()..).map(|(path, _)| path);
        let below = below.take_while(|path| path.starts_with(&prefix)).filter(|path| !kept.contains(*path));
        let gone: Vec<String> = below.cloned().collect();
        gone.iter().for_each(|path| drop(self.0.remove(path)));
        gone
    }
}

/// What an entry changes: what it removes, and where it puts something. Paths have no links in them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) gone: Vec<String>,
    pub(crate) path: Option<String>,
}

fn node(entry: &tar::Entry<'_, impl Read>) -> Node {
    let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
    let target = || entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
    match entry.header().entry_type() {
        EntryType::Directory => Node::Directory,
        EntryType::Symlink => Node::Link(target().unwrap_or_default()),
        // A hard link is a link to the same file for all that is asked here.
        EntryType::Link => Node::Link(format!("/{}", target().unwrap_or_default())),
        kind if kind.is_file() => Node::File { executable },
        _ => Node::Other,
    }
}

/// A layer's tar. None: compressed in a way that is not read here.
pub(crate) fn unpacked(layer: &dyn Layer) -> io::Result<Option<Box<dyn Read + Send>>> {
    let media_type = layer.media_type();
    let bytes = layer.open()?;
    Ok(match media_type {
        kind if kind.ends_with("gzip") => Some(Box::new(MultiGzDecoder::new(bytes))),
        kind if kind.ends_with("zstd") || kind.ends_with(".zst") => {
            Some(Box::new(zstd::stream::read::Decoder::new(bytes)?))
        }
        kind if kind.ends_with("tar") => Some(bytes),
        _ => None,
    })
}

/// A path's parts without empty ones and dots.
fn components(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Item {
        File(&'static str, u32),
        Link(&'static str, &'static str),
    }

    fn tar(items: &[Item]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for item in items {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            match item {
                Item::File(path, mode) => {
                    header.set_mode(*mode);
                    tar.append_data(&mut header, path, io::empty()).unwrap();
                }
                Item::Link(path, target) => {
                    header.set_mode(0o777);
                    header.set_entry_type(EntryType::Symlink);
                    tar.append_link(&mut header, path, target).unwrap();
                }
            }
        }
        tar.into_inner().unwrap()
    }

    fn files(layers: &[&[Item]]) -> Files {
        let mut files = Files::default();
        layers.iter().for_each(|items| files.add(&*tar(items)).unwrap());
        files
    }

    #[test]
    fn programs_are_found_through_links_and_on_the_path() {
        let files = files(&[&[
            Item::File("opt/node/bin/node", 0o755),
            Item::Link("usr/bin/node", "/opt/current/bin/node"),
            Item::Link("opt/current", "node"),
            Item::Link("bin", "usr/bin"),
            Item::File("usr/bin/data", 0o644),
            Item::Link("usr/bin/loop", "loop"),
        ]]);
        assert_eq!(files.program("node", "/sbin:/bin").as_deref(), Some("/bin/node"));
        assert_eq!(files.program("/opt/node/bin/node", "").as_deref(), Some("/opt/node/bin/node"));
        for missing in ["data", "loop", "other", "/opt/other"] {
            assert_eq!(files.program(missing, "/usr/bin"), None, "{missing}");
        }
    }

    #[test]
    fn entries_go_where_the_links_of_the_image_lead_and_never_out_of_it() {
        let files = files(&[&[
            Item::Link("lib", "usr/lib"),
            Item::Link("out", "/../../etc"),
            Item::File("lib/a", 0o755),
            Item::File("out/b", 0o755),
        ]]);
        assert!(files.0.contains_key("usr/lib/a") && files.0.contains_key("etc/b"), "{files:?}");
        assert_eq!(files.real("/lib/../../out/b").as_deref(), Some("etc/b"));
    }

    #[test]
    fn what_an_upper_layer_removes_is_gone() {
        let below: &[Item] = &[Item::File("a/x", 0o755), Item::File("b/x", 0o755), Item::File("c/x", 0o755)];
        let above: &[Item] = &[
            Item::File("a/.wh.x", 0),
            Item::File("b/.wh..wh..opq", 0),
            Item::File("b/y", 0o755),
            Item::File("c", 0o755),
            // It was there before this layer made it anew: its own file stays.
            Item::File("b/.wh.y", 0),
        ];
        let files = files(&[below, above]);
        let found = |path: &str| files.program(path, "").is_some();
        assert!(!found("/a/x") && !found("/b/x") && found("/b/y") && !found("/c/x") && found("/c"));
    }
}
