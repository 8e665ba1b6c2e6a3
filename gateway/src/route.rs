//! From a path to a function.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Uri;
use http::uri::PathAndQuery;

use crate::function::Function;

/// What callers get while no revision of a function is live; once one is, only [`RouteState::Locked`] matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// Created, or not any more than that: 404 `not_found`.
    NeverDeployed,
    /// Its first deploy runs: 503 `not_ready`.
    Deploying,
    /// Its deploy failed and there is no older version: 503 `deploy_failed`.
    DeployFailed {
        /// What callers may read: the class of the cause, no code and no secrets.
        message: String,
    },
    /// An operator has locked it: 404 `not_found`, whether a revision is live or not. Requests that were let in
    /// before are finished. Any other state unlocks it.
    Locked,
}

/// One function in the table.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) state: RouteState,
    pub(crate) function: Arc<Function>,
}

/// Functions by id, read through atomic pointers and copied on write: deploys are rare, requests are not. It is in
/// parts, so that a change copies a part alone: a start that makes ten thousand functions known is done in milliseconds.
pub(crate) struct Table([ArcSwap<HashMap<String, Route>>; PARTS]);

/// Ten thousand functions are forty a part, which are copied in microseconds.
const PARTS: usize = 256;

impl Default for Table {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ArcSwap::default()))
    }
}

impl Table {
    pub(crate) fn get(&self, function_id: &str) -> Option<Route> {
        self.part(function_id).load().get(function_id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Route> {
        self.0.iter().flat_map(|part| part.load().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Changes the part that has the function; callers see to it that only one does at a time.
    pub(crate) fn change<T>(
        &self,
        function_id: &str,
        change: impl FnOnce(&mut HashMap<String, Route>) -> T,
    ) -> T {
        let part = self.part(function_id);
        let mut routes = HashMap::clone(&part.load());
        let result = change(&mut routes);
        part.store(Arc::new(routes));
        result
    }

    fn part(&self, function_id: &str) -> &ArcSwap<HashMap<String, Route>> {
        &self.0[part(function_id)]
    }
}

/// The function's part, by FNV-1a: ids are the server's own, nobody chooses them to fall into one part.
fn part(function_id: &str) -> usize {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    function_id.bytes().fold(0xcbf2_9ce4_8422_2325, mix) as usize % PARTS
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) function_id: String,
    /// What the instance sees: the prefix is stripped, the query kept, an empty path is `/`.
    pub(crate) path_and_query: PathAndQuery,
}

impl Target {
    /// Of `/f/<id>` and everything below; `None` for other paths.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let below = uri.path().strip_prefix("/f/")?;
        let (function_id, path) = below.split_at(below.find('/').unwrap_or(below.len()));
        let path = if path.is_empty() { "/" } else { path };
        let inner = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        Some(Self { function_id: function_id.to_owned(), path_and_query: inner.parse().ok()? })
    }

    /// `/f/<id>`.
    pub(crate) fn prefix(&self) -> String {
        format!("/f/{}", self.function_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_stripped_and_the_query_kept() {
        for (path, expected) in [
            ("/f/1", "/"),
            ("/f/1/", "/"),
            ("/f/1?a=1&a=2", "/?a=1&a=2"),
            ("/f/1/a%20b/?x", "/a%20b/?x"),
            ("/f/1//double", "//double"),
            ("/f/1/f/1", "/f/1"),
            ("http://host/f/1/x", "/x"),
        ] {
            let target = Target::of(&path.parse().unwrap()).expect(path);
            assert_eq!(
                (target.function_id.as_str(), target.path_and_query.as_str()),
                ("1", expected),
                "{path}"
            );
        }
    }

    #[test]
    fn functions_spread_over_the_parts() {
        let mut sizes = [0; PARTS];
        for number in 0..100 * PARTS {
            sizes[part(&format!("{number:08x}-0000-4000-8000-000000000000"))] += 1;
        }
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        assert!((50..150).contains(least) && (50..150).contains(most), "{least} to {most} in a part");
    }

    #[test]
    fn other_paths_have_no_target() {
        for path in ["/", "/f", "/fx/1", "/x/f/1", "*"] {
            assert_eq!(Target::of(&path.parse().unwrap()), None, "{path}");
        }
    }
}
