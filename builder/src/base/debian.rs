//! Debian packages: an `ar` archive whose member `data.tar.*` holds the files.

use std::io::Read;

use flate2::read::GzDecoder;
use lzma_rust2::XzReader;

use super::archive::read_tar;
use super::tree::Tree;

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Adds a package's files to the tree.
pub(crate) fn unpack(bytes: &[u8], into: &mut Tree) -> Result<(), String> {
    let (name, data) = members(bytes)?
        .into_iter()
        .find(|(name, _)| name.starts_with("data.tar"))
        .ok_or("no member data.tar in the package")?;
    let reader: Box<dyn Read> = match name.as_str() {
        "data.tar.xz" => Box::new(XzReader::new(data, true)),
        "data.tar.gz" => Box::new(GzDecoder::new(data)),
        "data.tar" => Box::new(data),
        other => return Err(format!("{other} is packed in a way that is not supported (xz and gz are)")),
    };
    read_tar(reader, |path| (path != "./").then(|| path.to_owned()), into)
}

/// The members of an `ar` archive: name and content.
fn members(bytes: &[u8]) -> Result<Vec<(String, &[u8])>, String> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or("not a Debian package: no ar archive")?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(HEADER).ok_or("truncated ar header")?;
        if &header[58..] != b"`\n" {
            return Err("damaged ar header".into());
        }
        let name = field(&header[..16])?.trim_end_matches('/').to_owned();
        let size: usize =
            field(&header[48..58])?.parse().map_err(|_| format!("{name}: damaged size in the ar header"))?;
        let (content, after) = after.split_at_checked(size).ok_or_else(|| format!("{name} is truncated"))?;
        members.push((name, content));
        rest = after.get(size % 2..).unwrap_or_default();
    }
    Ok(members)
}

fn field(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map(|text| text.trim_end_matches(' ')).map_err(|_| "damaged ar header".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ar(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (name, content) in parts {
            out.extend(
                format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len()).bytes(),
            );
            out.extend_from_slice(content);
            if content.len() % 2 == 1 {
                out.push(b'\n');
            }
        }
        out
    }

    #[test]
    fn members_of_odd_and_even_length_are_found() {
        let bytes = ar(&[("debian-binary", b"2.0\n"), ("a/", b"odd"), ("b", b"even")]);
        let found = members(&bytes).unwrap();
        assert_eq!(
            found,
            [("debian-binary".into(), &b"2.0\n"[..]), ("a".into(), b"odd"), ("b".into(), b"even")]
        );
    }

    #[test]
    fn every_truncation_is_an_error_or_fewer_members() {
        let bytes = ar(&[("debian-binary", b"2.0\n"), ("data.tar", b"xyz12")]);
        for length in 0..bytes.len() - 1 {
            let found = members(&bytes[..length]);
            assert!(found.is_err() || found.unwrap().len() < 2, "{length}");
        }
    }

    #[test]
    fn the_files_are_those_of_the_data_member() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o755);
        builder.append_data(&mut header, "./lib/hello", &b"hi"[..]).unwrap();
        let data = builder.into_inner().unwrap();
        let mut tree = Tree::default();
        unpack(
            &ar(&[("debian-binary", b"2.0\n"), ("control.tar", b"no tar"), ("data.tar", &data)]),
            &mut tree,
        )
        .unwrap();
        assert_eq!(tree.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["usr/lib/hello"]);
    }

    #[test]
    fn unknown_packing_is_named() {
        let error = unpack(&ar(&[("data.tar.zst", b"")]), &mut Tree::default()).unwrap_err();
        assert!(error.contains("data.tar.zst"), "{error}");
    }
}
