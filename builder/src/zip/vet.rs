//! The rules about an archive as a whole, and about what its entries are.

use std::collections::BTreeMap;

use super::directory::Record;
use super::entry::shown;
use super::name::Name;
use super::{Archive, ArchiveLimits, Data, Entry, Inflater, Kind, Refusal};
use super::{directory, entry, name};

/// Longest target of a symbolic link, in bytes: what Linux allows.
const LINK_BYTES: u64 = 4096;
/// Systems that keep a Unix mode in the upper half of the attributes: Unix and macOS.
const UNIX_HOSTS: [u8; 2] = [3, 19];
/// The most that a tool writes for nothing: an empty deflate stream has two bytes, with a flush seven.
const EMPTY_BYTES: usize = 16;

/// The one view of an archive, or why there is none. Data is not decoded yet (but for links' targets): that
/// happens once, while the layer is written, and there checksums, sizes and streams are judged.
///
/// # Errors
/// [`Refusal`]
pub fn vet<'a>(archive: &'a [u8], limits: &ArchiveLimits) -> Result<Archive<'a>, Refusal> {
    if archive.len() as u64 > limits.archive_bytes {
        return Err(Refusal::ArchiveSize { found: archive.len() as u64, limit: limits.archive_bytes });
    }
    let directory = directory::read(archive, limits)?;
    sizes(archive, &directory.records, limits)?;
    let data = entry::data(archive, &directory.records, directory.offset)?;
    let mut vetted = Archive::default();
    let (mut inflater, mut assumed) = (None, Vec::new());
    for (record, data) in directory.records.iter().zip(data) {
        let name = name::read(record, limits)?;
        if is_litter(&name.path) {
            vetted.dropped.push(name.path);
            continue;
        }
        let kind = kind(record, &name, data, &mut inflater)?;
        if name.assumed {
            assumed.push(name.path.clone());
        }
        if !name.path.is_empty() {
            vetted.entries.push(Entry { path: name.path, kind });
        }
    }
    vetted.entries.sort_by(|a, b| a.path.cmp(&b.path));
    collisions(&vetted.entries)?;
    vetted.warnings = case_collisions(&vetted.entries);
    vetted.warnings.extend(assumed.first().map(|path| {
        let count = assumed.len();
        format!(
            "{count} names are not marked as UTF-8 and were read as code page 437, such as {path:?}; \
             if that is wrong, make the archive with a tool that marks them"
        )
    }));
    Ok(vetted)
}

/// The limits on declared sizes. Decoding stops at a declared size, so no lie gets past them.
fn sizes(archive: &[u8], records: &[Record<'_>], limits: &ArchiveLimits) -> Result<(), Refusal> {
    let (mut total, mut names) = (0u64, 0u64);
    for record in records {
        if record.size > limits.file_bytes {
            return Err(Refusal::FileSize {
                entry: shown(record),
                found: record.size,
                limit: limits.file_bytes,
            });
        }
        let ratio = record.size / record.compressed.max(1);
        if record.size > limits.ratio_from && ratio > limits.file_ratio {
            return Err(Refusal::FileRatio { entry: shown(record), found: ratio, limit: limits.file_ratio });
        }
        total = total.saturating_add(record.size);
        if total > limits.unpacked_bytes {
            return Err(Refusal::UnpackedSize { found: total, limit: limits.unpacked_bytes });
        }
        names += record.name.len() as u64;
        if names > limits.names_bytes {
            return Err(Refusal::NamesLength { found: names, limit: limits.names_bytes });
        }
    }
    let ratio = total / (archive.len() as u64).max(1);
    if total > limits.ratio_from && ratio > limits.ratio {
        return Err(Refusal::Ratio { found: ratio, limit: limits.ratio });
    }
    Ok(())
}

/// What macOS's tools add to archives and nobody wants.
fn is_litter(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    path == "__MACOSX" || path.starts_with("__MACOSX/") || file.starts_with("._") || file == ".DS_Store"
}

fn kind<'a>(
    record: &Record<'a>,
    name: &Name,
    data: Data<'a>,
    inflater: &mut Option<Inflater>,
) -> Result<Kind<'a>, Refusal> {
    let mode = if UNIX_HOSTS.contains(&record.host) { record.attributes >> 16 } else { 0 };
    let special = |kind| Err(Refusal::Special { entry: shown(record), kind });
    let unclear = || Err(Refusal::Kind { entry: shown(record) });
    match mode & 0o170_000 {
        0 | 0o040_000 if name.directory && data.size == 0 && data.raw.len() <= EMPTY_BYTES => {
            data.read(&shown(record), inflater.get_or_insert_default())?;
            Ok(Kind::Directory)
        }
        0 | 0o100_000 if !name.directory => Ok(Kind::File { executable: mode & 0o100 != 0, data }),
        0o120_000 if !name.directory => {
            Ok(Kind::Link { target: link_target(record, name, data, inflater.get_or_insert_default())? })
        }
        0o020_000 | 0o060_000 => special("a device"),
        0o010_000 => special("a named pipe"),
        0o140_000 => special("a socket"),
        _ => unclear(),
    }
}

/// A link's target: it may climb first and descend then, so that where it leads is seen without following
/// other links, and it may not climb out.
fn link_target(
    record: &Record<'_>,
    name: &Name,
    data: Data<'_>,
    inflater: &mut Inflater,
) -> Result<String, Refusal> {
    let entry = shown(record);
    let found = data.size.max(data.raw.len() as u64);
    if data.size == 0 || found > LINK_BYTES {
        return Err(Refusal::LinkLength { entry, found, limit: LINK_BYTES });
    }
    let bytes = data.read(&entry, inflater)?;
    let target = String::from_utf8_lossy(&bytes).into_owned();
    let climbs =
        target.split('/').take_while(|c| matches!(*c, ".." | "." | "")).filter(|c| *c == "..").count();
    let all_climbs = target.split('/').filter(|c| *c == "..").count();
    let depth = name.path.matches('/').count();
    let plain = str::from_utf8(&bytes).is_ok()
        && !target.starts_with('/')
        && !target.chars().any(|c| c.is_control() || c == '\\');
    if plain && climbs == all_climbs && climbs <= depth {
        return Ok(target);
    }
    Err(Refusal::LinkEscapes { entry, target })
}

/// No path twice, and none below a file or a link. The entries are sorted by path.
fn collisions(entries: &[Entry<'_>]) -> Result<(), Refusal> {
    let mut kinds: BTreeMap<&str, &Kind<'_>> = BTreeMap::new();
    for entry in entries {
        if kinds.insert(&entry.path, &entry.kind).is_some() {
            return Err(Refusal::Duplicate { entry: entry.path.clone() });
        }
    }
    for entry in entries {
        for (at, _) in entry.path.match_indices('/') {
            let (above, below) = (&entry.path[..at], &entry.path);
            match kinds.get(above) {
                Some(Kind::File { .. }) => {
                    return Err(Refusal::FileAsDirectory { entry: above.to_owned(), below: below.clone() });
                }
                Some(Kind::Link { .. }) => {
                    return Err(Refusal::LinkAsDirectory { entry: below.clone(), link: above.to_owned() });
                }
                Some(Kind::Directory) | None => {}
            }
        }
    }
    Ok(())
}

/// Paths that differ only in case are legal on Linux and most often come from a rename.
fn case_collisions(entries: &[Entry<'_>]) -> Vec<String> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut warnings = Vec::new();
    for entry in entries {
        if let Some(other) = seen.insert(entry.path.to_lowercase(), &entry.path) {
            warnings.push(format!("{other:?} and {:?} differ only in upper and lower case", entry.path));
        }
    }
    warnings
}
