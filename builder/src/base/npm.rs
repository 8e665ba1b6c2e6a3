//! npm tarballs: a gzip-compressed tar whose files lie in one folder; single files are taken from it.

use flate2::read::GzDecoder;

use super::NpmPackage;
use super::archive::read_tar;
use super::tree::Tree;

/// Adds the files that the recipe takes from a package, at the places it gives them.
pub(crate) fn unpack(bytes: &[u8], package: Option<&NpmPackage>, into: &mut Tree) -> Result<(), String> {
    let wanted = &package.ok_or("not in the recipe")?.files;
    let place = |path: &str| {
        let (_folder, inner) = path.split_once('/')?;
        wanted.get(inner).cloned()
    };
    read_tar(GzDecoder::new(bytes), place, into)?;
    match wanted.iter().find(|(_, to)| into.get(to).is_none()) {
        Some((from, _)) => Err(format!("the package has no file {from}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tree::Node;
    use flate2::{Compression, write::GzEncoder};

    fn package(files: &[(&str, &str)]) -> NpmPackage {
        let files = files.iter().map(|(from, to)| ((*from).into(), (*to).into())).collect();
        NpmPackage { name: "n".into(), arch: None, version: "1".into(), files }
    }

    fn tgz() -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for path in ["package/bin/node", "package/README.md"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            header.set_mode(0o755);
            builder.append_data(&mut header, path, &b"hi"[..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn only_the_named_files_are_taken() {
        let mut tree = Tree::default();
        unpack(&tgz(), Some(&package(&[("bin/node", "usr/local/bin/node")])), &mut tree).unwrap();
        let found: Vec<_> = tree.iter().collect();
        assert!(matches!(found[..], [("usr/local/bin/node", Node::File { mode: 0o755, .. })]));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = unpack(&tgz(), Some(&package(&[("bin/deno", "usr/bin/deno")])), &mut Tree::default())
            .unwrap_err();
        assert!(error.contains("bin/deno"), "{error}");
    }
}
