//! States of a deploy and the steps between them.

use serde::{Deserialize, Serialize};

/// How far a deploy came. The order is that of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeployState {
    /// Asked for.
    Queued,
    /// The archive is being read and its digest checked.
    Fetching,
    /// The image is being made.
    Building,
    /// The image goes to the registry.
    Pushing,
    /// An instance of the new image starts beside the live one.
    Verifying,
    /// Requests go to the new revision; the public path is being probed.
    Switching,
    /// Callers are served by it. The end.
    Ready,
    /// It failed, or was superseded. The end.
    Error,
}

impl DeployState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Fetching,
        Self::Building,
        Self::Pushing,
        Self::Verifying,
        Self::Switching,
        Self::Ready,
        Self::Error,
    ];

    /// As stored and logged.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Fetching => "fetching",
            Self::Building => "building",
            Self::Pushing => "pushing",
            Self::Verifying => "verifying",
            Self::Switching => "switching",
            Self::Ready => "ready",
            Self::Error => "error",
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Ready | Self::Error)
    }

    /// The state after this one when all goes well; `None` at the end.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Queued => Some(Self::Fetching),
            Self::Fetching => Some(Self::Building),
            Self::Building => Some(Self::Pushing),
            Self::Pushing => Some(Self::Verifying),
            Self::Verifying => Some(Self::Switching),
            Self::Switching => Some(Self::Ready),
            Self::Ready | Self::Error => None,
        }
    }

    /// Whether the diagram has the arrow.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        !self.is_finished() && (to == Self::Error || self.next() == Some(to))
    }

    /// Where a new attempt enters a deploy that was left in this state. An image that was not pushed was in memory
    /// only, so it is made again; instances and routes of a switch are made again from the pushed image.
    #[must_use]
    pub fn resumes_at(self) -> Self {
        match self {
            Self::Fetching | Self::Building | Self::Pushing => Self::Fetching,
            Self::Switching => Self::Verifying,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DeployState::{self, *};

    #[test]
    fn only_the_arrows_of_the_diagram_exist() {
        let arrows: Vec<_> = DeployState::ALL
            .iter()
            .flat_map(|from| DeployState::ALL.map(|to| (*from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        let mut expected: Vec<_> = DeployState::ALL.windows(2).map(|pair| (pair[0], pair[1])).collect();
        expected.retain(|pair| *pair != (Ready, Error));
        expected.extend([Queued, Fetching, Building, Pushing, Verifying].map(|from| (from, Error)));
        expected.push((Switching, Error));
        expected.sort();
        assert_eq!(arrows, expected);
    }

    #[test]
    fn an_interrupted_deploy_never_resumes_later_than_it_was() {
        for state in DeployState::ALL {
            assert!(state.resumes_at() <= state, "{state:?}");
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
