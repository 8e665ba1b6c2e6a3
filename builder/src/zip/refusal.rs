//! Why an archive is refused: one variant for each reason, so that callers, tests and logs can tell them
//! apart without reading sentences.

use std::time::Duration;

/// Why an archive is refused. `Display` is the sentence its owner reads; [`code`](Self::code) is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are something else, or the end of the archive is missing.
    #[error("the archive is not a zip: {reason}")]
    NotAZip {
        /// What was found instead.
        reason: String,
    },
    /// A record of the format is cut off or carries the wrong signature.
    #[error("the archive is damaged: {what}")]
    Damaged {
        /// Which record, and where.
        what: String,
    },
    /// Bytes before the first entry.
    #[error("the archive has {found} bytes before its first entry; a zip must begin with an entry")]
    Prefix {
        /// Number of bytes.
        found: u64,
    },
    /// Bytes after the end record, or an end record inside the archive's comment.
    #[error("the archive has {found} bytes after its end record")]
    Trailer {
        /// Number of bytes.
        found: u64,
    },
    /// Two end records that both reach the end of the file: readers would see different files.
    #[error("the archive has more than one end record, so tools disagree about what is in it")]
    SeveralEnds,
    /// Bytes that no entry and no record accounts for.
    #[error("the archive has {found} bytes that belong to no entry, before {before}")]
    Gap {
        /// Number of bytes.
        found: u64,
        /// The entry or record that follows.
        before: String,
    },
    /// The directory says another number of entries than it has.
    #[error("the archive announces {declared} entries and has {found}")]
    Count {
        /// Number in the end record.
        declared: u64,
        /// Number of records.
        found: u64,
    },
    /// The header beside the data and the directory say different things.
    #[error("{entry:?}: the entry's own header and the archive's directory disagree about its {field}")]
    Disagree {
        /// Entry.
        entry: String,
        /// `name`, `method`, `flags`, `checksum` or `size`.
        field: &'static str,
    },
    /// Two entries share bytes.
    #[error("{entry:?} overlaps {other:?} in the archive")]
    Overlap {
        /// Entry.
        entry: String,
        /// The one it overlaps.
        other: String,
    },
    /// An entry's data reaches past the directory or the file.
    #[error("{entry:?} reaches past the end of the archive's data")]
    Truncated {
        /// Entry.
        entry: String,
    },
    /// The archive is too large.
    #[error("the archive has {found} bytes; the limit is {limit}")]
    ArchiveSize {
        /// Bytes.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// Too many entries.
    #[error("the archive has {found} entries; the limit is {limit}")]
    Entries {
        /// Number of entries.
        found: u64,
        /// Number of entries.
        limit: u64,
    },
    /// Too much when unpacked.
    #[error("the archive unpacks to {found} bytes; the limit is {limit}")]
    UnpackedSize {
        /// Bytes, at least.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// One entry is too much when unpacked.
    #[error("{entry:?} unpacks to {found} bytes; the limit for one file is {limit}")]
    FileSize {
        /// Entry.
        entry: String,
        /// Bytes.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// The archive grows too much when unpacked.
    #[error("the archive unpacks to {found} times its size; the limit is {limit}")]
    Ratio {
        /// Unpacked over packed.
        found: u64,
        /// Unpacked over packed.
        limit: u64,
    },
    /// One entry grows too much when unpacked.
    #[error("{entry:?} unpacks to {found} times its size; the limit is {limit}")]
    FileRatio {
        /// Entry.
        entry: String,
        /// Unpacked over packed.
        found: u64,
        /// Unpacked over packed.
        limit: u64,
    },
    /// A name is too long.
    #[error("{entry:?}: the name has {found} bytes; the limit is {limit}")]
    PathLength {
        /// Entry, cut.
        entry: String,
        /// Bytes.
        found: usize,
        /// Bytes.
        limit: usize,
    },
    /// A name has too many components.
    #[error("{entry:?}: the name is {found} directories deep; the limit is {limit}")]
    Depth {
        /// Entry.
        entry: String,
        /// Components.
        found: usize,
        /// Components.
        limit: usize,
    },
    /// All names together are too long.
    #[error("the archive's names have {found} bytes; the limit is {limit}")]
    NamesLength {
        /// Bytes, at least.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// Decoding took too long.
    #[error("the archive could not be unpacked within {} s", limit.as_secs())]
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
    #[error("{entry:?} uses compression method {found}; only stored (0) and deflate (8) are read")]
    Method {
        /// Entry.
        entry: String,
        /// The format's number of the method.
        found: u16,
    },
    /// Flags that change what the data means.
    #[error("{entry:?} carries flags {found:#06x} that are not supported")]
    Flags {
        /// Entry.
        entry: String,
        /// The unknown bits.
        found: u16,
    },
    /// The archive is one part of several.
    #[error("the archive is split over several disks")]
    Split,
    /// No name.
    #[error("the archive has an entry without a name")]
    EmptyName,
    /// The name does not decode.
    #[error("{entry:?}: the name is said to be UTF-8 and is not")]
    NameEncoding {
        /// Entry, with replacement characters.
        entry: String,
    },
    /// A second name beside the first one differs from it.
    #[error("{entry:?} has a second name, {other:?}")]
    SecondName {
        /// Entry.
        entry: String,
        /// The name in the extra field.
        other: String,
    },
    /// `..`
    #[error("{entry:?}: the path leaves the archive")]
    PathEscapes {
        /// Entry.
        entry: String,
    },
    /// A leading `/`.
    #[error("{entry:?}: the path is absolute")]
    PathAbsolute {
        /// Entry.
        entry: String,
    },
    /// `C:`
    #[error("{entry:?}: the path names a drive")]
    PathDrive {
        /// Entry.
        entry: String,
    },
    /// `\` from a tool that should write `/`.
    #[error("{entry:?}: the path has a backslash")]
    PathBackslash {
        /// Entry.
        entry: String,
    },
    /// NUL or another control character.
    #[error("{entry:?}: the path has a control character")]
    PathControl {
        /// Entry.
        entry: String,
    },
    /// A name that layers of images reserve to delete files of the layers below.
    #[error("{entry:?}: names that begin with .wh. are reserved in container images")]
    Whiteout {
        /// Entry.
        entry: String,
    },
    /// The same path twice.
    #[error("{entry:?} is in the archive twice")]
    Duplicate {
        /// Path, normalised.
        entry: String,
    },
    /// A file and a directory of the same path.
    #[error("{entry:?} is a file, and {below:?} lies below it")]
    FileAsDirectory {
        /// Path of the file.
        entry: String,
        /// Path below it.
        below: String,
    },
    /// A device, a pipe, a socket.
    #[error("{entry:?} is {kind}; only files, directories and symbolic links are allowed")]
    Special {
        /// Entry.
        entry: String,
        /// `a device`, ...
        kind: &'static str,
    },
    /// Mode and name do not agree about whether it is a directory, or a directory has data.
    #[error("{entry:?}: it is not clear whether this is a directory")]
    Kind {
        /// Entry.
        entry: String,
    },
    /// A link's target is too long or empty.
    #[error("{entry:?}: the symbolic link's target has {found} bytes; 1 to {limit} are allowed")]
    LinkLength {
        /// Entry.
        entry: String,
        /// Bytes.
        found: u64,
        /// Bytes.
        limit: u64,
    },
    /// A link points out of the archive, or goes down and up again, or at something that is no path.
    #[error("{entry:?}: the symbolic link's target {target:?} is not a plain path inside the archive")]
    LinkEscapes {
        /// Entry.
        entry: String,
        /// Where it points.
        target: String,
    },
    /// A path leads through a link.
    #[error("{entry:?} lies below the symbolic link {link:?}")]
    LinkAsDirectory {
        /// Entry.
        entry: String,
        /// Path of the link.
        link: String,
    },
    /// The data's checksum is another.
    #[error("{entry:?} is damaged: its checksum is {found:08x}, the archive says {declared:08x}")]
    Checksum {
        /// Entry.
        entry: String,
        /// CRC-32 of the data.
        found: u32,
        /// CRC-32 in the directory.
        declared: u32,
    },
    /// The data has another length.
    #[error("{entry:?} is damaged: it has {found} bytes, the archive says {declared}")]
    Size {
        /// Entry.
        entry: String,
        /// Bytes, at least.
        found: u64,
        /// Bytes in the directory.
        declared: u64,
    },
    /// The compressed data does not decode.
    #[error("{entry:?} is damaged: {reason}")]
    Data {
        /// Entry.
        entry: String,
        /// What the decoder says.
        reason: &'static str,
    },
}

impl Refusal {
    /// Stable name of the reason, for logs and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAZip { .. } => "zip.not_a_zip",
            Self::Damaged { .. } => "zip.damaged",
            Self::Prefix { .. } => "zip.prefix",
            Self::Trailer { .. } => "zip.trailer",
            Self::SeveralEnds => "zip.several_ends",
            Self::Gap { .. } => "zip.gap",
            Self::Count { .. } => "zip.count",
            Self::Disagree { .. } => "zip.headers_disagree",
            Self::Overlap { .. } => "zip.overlap",
            Self::Truncated { .. } => "zip.truncated",
            Self::ArchiveSize { .. } => "zip.archive_size",
            Self::Entries { .. } => "zip.entries",
            Self::UnpackedSize { .. } => "zip.unpacked_size",
            Self::FileSize { .. } => "zip.file_size",
            Self::Ratio { .. } => "zip.ratio",
            Self::FileRatio { .. } => "zip.file_ratio",
            Self::PathLength { .. } => "zip.path_length",
            Self::Depth { .. } => "zip.depth",
            Self::NamesLength { .. } => "zip.names_length",
            Self::DecodeTime { .. } => "zip.decode_time",
            Self::Encrypted { .. } => "zip.encrypted",
            Self::Method { .. } => "zip.method",
            Self::Flags { .. } => "zip.flags",
            Self::Split => "zip.split",
            Self::EmptyName => "zip.empty_name",
            Self::NameEncoding { .. } => "zip.name_encoding",
            Self::SecondName { .. } => "zip.second_name",
            Self::PathEscapes { .. } => "zip.path_escapes",
            Self::PathAbsolute { .. } => "zip.path_absolute",
            Self::PathDrive { .. } => "zip.path_drive",
            Self::PathBackslash { .. } => "zip.path_backslash",
            Self::PathControl { .. } => "zip.path_control",
            Self::Whiteout { .. } => "zip.whiteout",
            Self::Duplicate { .. } => "zip.duplicate",
            Self::FileAsDirectory { .. } => "zip.file_as_directory",
            Self::Special { .. } => "zip.special",
            Self::Kind { .. } => "zip.kind",
            Self::LinkLength { .. } => "zip.link_length",
            Self::LinkEscapes { .. } => "zip.link_escapes",
            Self::LinkAsDirectory { .. } => "zip.link_as_directory",
            Self::Checksum { .. } => "zip.checksum",
            Self::Size { .. } => "zip.size",
            Self::Data { .. } => "zip.data",
        }
    }
}
