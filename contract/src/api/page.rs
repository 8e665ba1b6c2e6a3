//! Paging and ordering of lists.

use serde::{Deserialize, Serialize};

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// Elements in a page.
    pub size: u32,
}

impl Page {
    /// Default `page_size`.
    pub const DEFAULT_SIZE: u32 = 20;
    /// What a list answers that is asked for no page.
    pub const FIRST: Self = Self { number: 1, size: Self::DEFAULT_SIZE };

    /// Elements before this page.
    #[must_use]
    pub fn offset(self) -> u64 {
        u64::from(self.number.saturating_sub(1)) * u64::from(self.size)
    }
}

/// Order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// Oldest first.
    #[default]
    CreatedAtAsc,
    /// Newest first.
    CreatedAtDesc,
    /// By name.
    NameAsc,
    /// By name, backwards.
    NameDesc,
}

impl OrderBy {
    /// The same list from its other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::CreatedAtAsc => Self::CreatedAtDesc,
            Self::CreatedAtDesc => Self::CreatedAtAsc,
            Self::NameAsc => Self::NameDesc,
            Self::NameDesc => Self::NameAsc,
        }
    }
}
