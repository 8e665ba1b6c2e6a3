//! Why an archive is refused: one variant for each reason, so that callers, tests and logs can tell them
//! apart without reading sentences. Each sentence says what was found and what to do about it.

use std::time::Duration;

/// Why an archive is refused. `Display` is the sentence its owner reads; [`code`](Self::code) is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are something else, or the end of the archive is missing.
    #[error("the archive is not a zip: {reason}; make one with: zip -r function.zip .")]
    NotAZip {
        /// What was found instead.
        reason: String,
    },
    /// A record of the format is cut off or carries the wrong signature.
    #[error("the archive is damaged: {what}; make it again")]
    Damaged {
        /// Which record, and where.
        what: String,
    },
    /// Bytes before the first entry.
    #[error(
        "the archive has {found} bytes before its first entry; a zip must begin with an entry: upload it without what stands in front (a self-extractor?)"
    )]
    Prefix {
        /// Number of bytes.
        found: u64,
    },
    /// Bytes after the end record, or an end record inside the archive's comment.
    #[error(
        "the archive has {found} bytes after its end record; upload it without them (bsdtar pads what it writes to a pipe: let it write a file)"
    )]
    Trailer {
        /// Number of bytes.
        found: u64,
    },
    /// Two end records that both reach the end of the file: readers would see different files.
    #[error(
        "the archive has more than one end record, so tools disagree about what is in it; make it again, without a comment"
    )]
    SeveralEnds,
    /// Bytes that no entry and no record accounts for.
    #[error(
        "the archive has {found} bytes that belong to no entry, before {before}; make it again, do not edit or join archives"
    )]
    Gap {
        /// Number of bytes.
        found: u64,
        /// The entry or record that follows.
        before: String,
    },
    /// The directory says another number of entries than it has.
    #[error("the archive announces {declared} entries and has {found}; make it again")]
    Count {
        /// Number in the end record.
        declared: u64,
        /// Number of records.
        found: u64,
    },
    /// The header beside the data and the directory say different things.
    #[error(
        "{entry:?}: the entry's own header and the archive's directory disagree about its {field}; make the archive again with another tool"
    )]
    Disagree {
        /// Entry.
        entry: String,
        /// `name`, `second name`, `method`, `flags`, `checksum`, `size` or `data descriptor`.
        field: &'static str,
    },
    /// Two entries share bytes.
    #[error("{entry:?} overlaps {other:?} in the archive; make it again with another tool")]
    Overlap {
        /// Entry.
        entry: String,
        /// The one it overlaps.
        other: String,
    },
    /// An entry's data reaches past the directory or the file.
    #[error("{entry:?} reaches past the end of the archive's data; make the archive again (was it cut off?)")]
    Truncated {
        /// Entry.
        entry: String,
    },
    /// The archive is too large.
    #[error(
        "the archive has {found} bytes; the limit archive-bytes is {limit}: leave out what the function does not need"
    )]
    ArchiveSize {
        /// Bytes.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// Too many entries.
    #[error(
        "the archive has {found} entries; the limit entries is {limit}: leave out what the function does not need"
    )]
    Entries {
        /// Number of entries.
        found: u64,
        /// Number of entries.
        limit: u64,
    },
    /// Too much when unpacked.
    #[error(
        "the archive unpacks to {found} bytes; the limit unpacked-bytes is {limit}: leave out what the function does not need"
    )]
    UnpackedSize {
        /// Bytes, at least.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// One entry is too much when unpacked.
    #[error(
        "{entry:?} unpacks to {found} bytes; the limit file-bytes is {limit}: load such data when the function starts"
    )]
    FileSize {
        /// Entry.
        entry: String,
        /// Bytes.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// The archive grows too much when unpacked.
    #[error(
        "the archive unpacks to {found} times its size; the limit ratio is {limit}: leave out files that are almost all the same byte"
    )]
    Ratio {
        /// Unpacked over packed.
        found: u64,
        /// Unpacked over packed.
        limit: u64,
    },
    /// One entry grows too much when unpacked.
    #[error(
        "{entry:?} unpacks to {found} times its size; the limit file-ratio is {limit}: leave out files that are almost all the same byte"
    )]
    FileRatio {
        /// Entry.
        entry: String,
        /// Unpacked over packed.
        found: u64,
        /// Unpacked over packed.
        limit: u64,
    },
    /// A name is too long.
    #[error("{entry:?}: the name has {found} bytes; the limit path-bytes is {limit}: shorten it")]
    PathLength {
        /// Entry, cut.
        entry: String,
        /// Bytes.
        found: usize,
        /// Bytes.
        limit: usize,
    },
    /// A name has too many components.
    #[error("{entry:?}: the name has {found} components; the limit depth is {limit}: move it up")]
    Depth {
        /// Entry.
        entry: String,
        /// Components.
        found: usize,
        /// Components.
        limit: usize,
    },
    /// All names together are too long.
    #[error(
        "the archive's names have {found} bytes; the limit names-bytes is {limit}: leave out what the function does not need"
    )]
    NamesLength {
        /// Bytes, at least.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// Decoding took too long.
    #[error("the archive could not be unpacked within the limit decode-seconds of {}: leave out what the function does not need", limit.as_secs())]
    DecodeTime {
        /// What it may take.
        limit: Duration,
    },
    /// The entry is encrypted.
    #[error("{entry:?} is encrypted; upload the archive without a password")]
    Encrypted {
        /// Entry.
        entry: String,
    },
    /// A compression method other than stored and deflate.
    #[error(
        "{entry:?} uses compression method {found}; only stored (0) and deflate (8) are read: make the archive with zip, or 7z with -mm=Deflate"
    )]
    Method {
        /// Entry.
        entry: String,
        /// The format's number of the method.
        found: u16,
    },
    /// Flags that change what the data means.
    #[error(
        "{entry:?} carries the flags {found:#06x}, which are not supported; make the archive again with another tool"
    )]
    Flags {
        /// Entry.
        entry: String,
        /// The unknown bits.
        found: u16,
    },
    /// An extra field that is read has a length that does not fit, or is there twice.
    #[error(
        "{entry:?}: the extra field {id:#06x} is cut off or there twice, so tools disagree about it; make the archive again with another tool"
    )]
    ExtraField {
        /// Entry.
        entry: String,
        /// The field's number.
        id: u16,
    },
    /// The archive is one part of several.
    #[error("the archive is split over several disks; make it as one file")]
    Split,
    /// No name.
    #[error("the archive has an entry without a name; make it again with another tool")]
    EmptyName,
    /// The name does not decode.
    #[error("{entry:?}: the name is said to be UTF-8 and is not; rename the file")]
    NameEncoding {
        /// Entry, with replacement characters.
        entry: String,
    },
    /// A second name beside the first one differs from it.
    #[error(
        "{entry:?} has a second name, {other:?}, so tools disagree about it; make the archive again with another tool"
    )]
    SecondName {
        /// Entry.
        entry: String,
        /// The name in the extra field.
        other: String,
    },
    /// `..`
    #[error("{entry:?}: the path has .. in it; store paths below the function's directory")]
    PathEscapes {
        /// Entry.
        entry: String,
    },
    /// A leading `/`.
    #[error("{entry:?}: the path is absolute; store paths below the function's directory")]
    PathAbsolute {
        /// Entry.
        entry: String,
    },
    /// `C:`
    #[error("{entry:?}: the path names a drive; store paths below the function's directory")]
    PathDrive {
        /// Entry.
        entry: String,
    },
    /// `\` from a tool that should write `/`.
    #[error("{entry:?}: the path has a backslash, which tools read in two ways; separate directories with /")]
    PathBackslash {
        /// Entry.
        entry: String,
    },
    /// NUL or another control character.
    #[error("{entry:?}: the path has a control character; rename the file")]
    PathControl {
        /// Entry.
        entry: String,
    },
    /// A name that layers of images reserve to delete files of the layers below.
    #[error("{entry:?}: names that begin with .wh. delete files in container images; rename the file")]
    Whiteout {
        /// Entry.
        entry: String,
    },
    /// The same path twice.
    #[error("{entry:?} is in the archive twice; leave one of them out")]
    Duplicate {
        /// Path, normalised.
        entry: String,
    },
    /// A file and a directory of the same path.
    #[error("{entry:?} is a file, and {below:?} lies below it; rename one of them")]
    FileAsDirectory {
        /// Path of the file.
        entry: String,
        /// Path below it.
        below: String,
    },
    /// A device, a pipe, a socket.
    #[error("{entry:?} is {kind}; leave it out: a function has files, directories and symbolic links")]
    Special {
        /// Entry.
        entry: String,
        /// `a device`, ...
        kind: &'static str,
    },
    /// Mode and name do not agree about whether it is a directory, or a directory has data.
    #[error(
        "{entry:?}: it is not clear whether this is a directory (name, mode and data disagree); make the archive again with another tool"
    )]
    Kind {
        /// Entry.
        entry: String,
    },
    /// A link's target is too long or empty.
    #[error(
        "{entry:?}: the symbolic link's target has {found} bytes; 1 to {limit} are allowed: copy what it points to"
    )]
    LinkLength {
        /// Entry.
        entry: String,
        /// Bytes.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// A link points out of the archive, or goes down and up again, or at something that is no path.
    #[error(
        "{entry:?}: the symbolic link's target {target:?} is not a plain path inside the archive; copy what it points to"
    )]
    LinkEscapes {
        /// Entry.
        entry: String,
        /// Where it points.
        target: String,
    },
    /// A path leads through a link.
    #[error("{entry:?} lies below the symbolic link {link:?}; store the directory itself")]
    LinkAsDirectory {
        /// Entry.
        entry: String,
        /// Path of the link.
        link: String,
    },
    /// The data's checksum is another.
    #[error(
        "{entry:?} is damaged: its checksum is {found:08x}, the archive says {declared:08x}; make the archive again"
    )]
    Checksum {
        /// Entry.
        entry: String,
        /// CRC-32 of the data.
        found: u32,
        /// CRC-32 in the directory.
        declared: u32,
    },
    /// The data has another length.
    #[error(
        "{entry:?} is damaged: it has {found} bytes or more, the archive says {declared}; make the archive again"
    )]
    Size {
        /// Entry.
        entry: String,
        /// Bytes, at least.
        found: u64,
        /// Bytes in the directory.
        declared: u64,
    },
    /// The compressed data does not decode.
    #[error("{entry:?} is damaged: {reason}; make the archive again")]
    Data {
        /// Entry.
        entry: String,
        /// What the decoder says.
        reason: &'static str,
    },
}
