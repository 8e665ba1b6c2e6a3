//! From files to an image: two layers (the runtime, and our program; a build image has only the first) and the
//! configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use contract::environment::{CODE_DIRECTORY, CONTAINER_UID, SHIM_PATH, ZIPSHIP_LANGUAGE, ZIPSHIP_WORKER};
use flate2::Compression;
use flate2::write::GzEncoder;
use oci::config::{ContainerConfig, History, ImageConfig};
use oci::digest::Hasher;
use oci::layer::MemoryLayer;
use oci::{Image, ImageLayer};
use tar::{EntryType, Header};

use super::tree::{Node, Tree, ancestors};
use super::{BaseError, Recipe};

/// Label with the recipe's name.
const RUNTIME_LABEL: &str = "zipship.base.runtime";
/// Label with the cache key.
const KEY_LABEL: &str = "zipship.base.key";
/// Label of the OCI specification with an SPDX expression.
const LICENSES_LABEL: &str = "org.opencontainers.image.licenses";

/// The recipe's name that a base carries; none for other images.
pub(crate) fn runtime_label(image: &Image) -> Option<String> {
    label(image, RUNTIME_LABEL)
}

/// The licences that a base names.
pub(crate) fn licenses_label(image: &Image) -> Option<String> {
    label(image, LICENSES_LABEL)
}

fn label(image: &Image, name: &str) -> Option<String> {
    image.parsed_config().ok()?.config.labels.remove(name)
}

/// Puts the image together. The same input always gives the same bytes.
pub(crate) fn image(
    recipe: &Recipe,
    key: &str,
    licenses: &str,
    runtime: &Tree,
    program: &Tree,
) -> Result<Image, BaseError> {
    let packed = |tree: &Tree| {
        layer(tree).map_err(|e| BaseError::Recipe { path: recipe.path.clone(), reason: e.to_string() })
    };
    let parts = [(runtime, "zipship: runtime"), (program, "zipship: shim and workers")];
    let (mut layers, mut history) = (Vec::new(), Vec::new());
    for (tree, created_by) in parts.into_iter().filter(|(tree, _)| tree.iter().next().is_some()) {
        layers.push(ImageLayer::new(Arc::new(packed(tree)?)));
        history.push(History { created_by: Some(created_by.to_owned()), ..History::default() });
    }
    let config = ImageConfig {
        architecture: recipe.architecture.name().to_owned(),
        config: container(recipe, key, licenses)?,
        history,
        ..ImageConfig::default()
    };
    Ok(Image::assemble(config, layers, BTreeMap::new()))
}

fn container(recipe: &Recipe, key: &str, licenses: &str) -> Result<ContainerConfig, BaseError> {
    let language = recipe.language()?;
    // A build image runs what its caller names, and writes into its caller's folder, whoever owns that.
    let (user, entrypoint) = match language {
        Some(_) => (Some(format!("{CONTAINER_UID}:{CONTAINER_UID}")), vec![SHIM_PATH.to_owned()]),
        None => (None, Vec::new()),
    };
    let mut config = ContainerConfig {
        user,
        entrypoint,
        cmd: recipe.command.clone(),
        working_dir: Some(CODE_DIRECTORY.to_owned()),
        labels: [(RUNTIME_LABEL, recipe.runtime.as_str()), (KEY_LABEL, key), (LICENSES_LABEL, licenses)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..ContainerConfig::default()
    };
    for (name, value) in &recipe.environment {
        config.set_env(name, value);
    }
    if let Some(language) = language {
        config.set_env(ZIPSHIP_LANGUAGE, language.name());
    }
    if !recipe.worker.is_empty() {
        config.set_env(ZIPSHIP_WORKER, &serde_json::Value::from(recipe.worker.clone()).to_string());
    }
    Ok(config)
}

/// A tree as a gzip-compressed tar.
pub(crate) fn layer(tree: &Tree) -> io::Result<MemoryLayer> {
    let gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    let mut tar = tar::Builder::new(Hashed { hasher: Hasher::new(), inner: gzip });
    let parents: BTreeSet<&str> = tree.iter().flat_map(|(path, _)| ancestors(path)).collect();
    let implied = parents.into_iter().filter(|path| tree.get(path).is_none());
    let directory = Node::Directory { mode: 0o755, owner: 0 };
    let entries: BTreeMap<&str, &Node> = implied.map(|path| (path, &directory)).chain(tree.iter()).collect();
    for (path, node) in entries {
        append(&mut tar, path, node)?;
    }
    let Hashed { hasher, inner } = tar.into_inner()?;
    Ok(MemoryLayer::gzip(Bytes::from(inner.finish()?), hasher.finish()))
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, node: &Node) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match node {
        Node::File { bytes, mode } => {
            header.set_mode(*mode);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, &bytes[..])
        }
        Node::Link { target } => {
            header.set_mode(0o777);
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, path, target)
        }
        Node::Directory { mode, owner } => {
            header.set_mode(*mode);
            header.set_uid(u64::from(*owner));
            header.set_gid(u64::from(*owner));
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, format!("{path}/"), io::empty())
        }
    }
}

/// Takes the digest of what passes through.
struct Hashed<W> {
    hasher: Hasher,
    inner: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use oci::{Digest, Layer};
    use std::io::Read;

    fn recipe() -> Recipe {
        toml::from_str(
            "runtime = 'node10'\nsuite = 'b'\ndebian = []\nworker = ['/n', '/w.js']\nenvironment = { LANG = 'C.UTF-8' }",
        )
        .unwrap()
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let long = format!("usr/{}/{}", "l".repeat(90), "n".repeat(90));
        tree.insert(&long, Node::File { bytes: Bytes::from_static(b"x"), mode: 0o755 }).unwrap();
        tree.insert("etc/link", Node::Link { target: "/usr".into() }).unwrap();
        tree.insert("home/app", Node::Directory { mode: 0o700, owner: 1000 }).unwrap();
        tree
    }

    #[test]
    fn parents_come_first_and_nothing_tells_time_or_builder() {
        let layer = layer(&tree()).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(layer.open().unwrap()).read_to_end(&mut bytes).unwrap();
        assert_eq!(&Digest::of(&bytes), layer.diff_id());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 0);
            let path = entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned();
            seen.push((
                path.chars().take(8).collect::<String>(),
                header.uid().unwrap(),
                header.mode().unwrap(),
            ));
        }
        let expected = [
            ("etc", 0, 0o755),
            ("etc/link", 0, 0o777),
            ("home", 0, 0o755),
            ("home/app", 1000, 0o700),
            ("usr", 0, 0o755),
            ("usr/llll", 0, 0o755),
            ("usr/llll", 0, 0o755),
        ];
        assert_eq!(seen, expected.map(|(path, uid, mode)| (path.to_owned(), uid, mode)));
    }

    #[test]
    fn the_configuration_is_the_contracts() {
        let image = image(&recipe(), "k", "MIT", &tree(), &tree()).unwrap();
        assert_eq!(image.layers.len(), 2);
        let config = image.parsed_config().unwrap().config;
        assert_eq!(config.user.as_deref(), Some("1000:1000"));
        assert_eq!(config.entrypoint, ["/usr/local/bin/zipship-shim"]);
        assert_eq!(config.working_dir.as_deref(), Some("/home/app/function"));
        assert_eq!(
            config.env,
            ["LANG=C.UTF-8", "ZIPSHIP_LANGUAGE=node", "ZIPSHIP_WORKER=[\"/n\",\"/w.js\"]"]
        );
        assert_eq!(config.labels["org.opencontainers.image.licenses"], "MIT");
        assert_eq!(runtime_label(&image).as_deref(), Some("node10"));
    }

    #[test]
    fn a_build_image_runs_what_it_is_told_as_the_containers_owner() {
        let mut recipe: Recipe = toml::from_str(
            "runtime = 'python-dep3'\nsuite = 'b'\ndebian = []\ncommand = ['pip', 'help']\ninterpreter = '/p'",
        )
        .unwrap();
        recipe.architecture = crate::Architecture::Arm64;
        let image = image(&recipe, "k", "MIT", &tree(), &Tree::default()).unwrap();
        assert_eq!(image.layers.len(), 1);
        let config = image.parsed_config().unwrap();
        assert_eq!(config.architecture, "arm64");
        let config = config.config;
        assert_eq!((config.user, config.entrypoint.len(), config.env.len()), (None, 0, 0));
        assert_eq!(config.cmd, ["pip", "help"]);
        assert_eq!(config.working_dir.as_deref(), Some("/home/app/function"));
    }
}
