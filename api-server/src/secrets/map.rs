//! Environment variables in memory.

use std::{collections::BTreeMap, fmt};

use secrecy::zeroize::Zeroize as _;

/// A map of environment variables whose values cannot be printed, and are wiped when it goes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretMap(BTreeMap<String, String>);

impl SecretMap {
    /// The variables, for those who must pass them on.
    #[must_use]
    pub fn expose(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// These variables, with `over`'s in addition; where both have a name, `over` wins.
    #[must_use]
    pub fn overridden_by(&self, over: &Self) -> Self {
        let mut merged = self.clone();
        merged.0.extend(over.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        merged
    }
}

impl From<BTreeMap<String, String>> for SecretMap {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }
}

impl fmt::Debug for SecretMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretMap({} variables)", self.0.len())
    }
}

impl Drop for SecretMap {
    fn drop(&mut self) {
        self.0.values_mut().for_each(|value| value.zeroize());
    }
}

#[cfg(test)]
mod tests {
    use super::SecretMap;

    fn map(pairs: &[(&str, &str)]) -> SecretMap {
        SecretMap::from(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<std::collections::BTreeMap<_, _>>(),
        )
    }

    #[test]
    fn values_are_not_printed() {
        assert_eq!(format!("{:?}", map(&[("A", "hunter2")])), "SecretMap(1 variables)");
    }

    #[test]
    fn the_functions_own_variables_win() {
        let merged = map(&[("A", "1"), ("B", "1")]).overridden_by(&map(&[("B", "2")]));
        assert_eq!(merged, map(&[("A", "1"), ("B", "2")]));
    }
}
