//! The stable names of the refusals; `docs/archives.md` lists them.

use super::Refusal;

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
            Self::ExtraField { .. } => "zip.extra_field",
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
