//! Path patterns of recipes: `usr/share/doc/*/copyright`.
//!
//! A pattern matches a path and everything below it. `*` stands for any characters within one path segment.

/// Whether `pattern` names `path` or a folder above it. Both without a leading slash.
pub(crate) fn covers(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    pattern.split('/').all(|wanted| segments.next().is_some_and(|segment| segment_matches(wanted, segment)))
}

fn segment_matches(pattern: &str, segment: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == segment };
    let Some(mut left) = segment.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_pattern_covers_the_path_and_all_below() {
        assert!(covers("usr/share/doc", "usr/share/doc"));
        assert!(covers("usr/share/doc", "usr/share/doc/libc6/copyright"));
        assert!(!covers("usr/share/doc", "usr/share/docs"));
        assert!(!covers("usr/share/doc", "usr/share"));
    }

    #[test]
    fn a_star_stays_within_its_segment() {
        assert!(covers("usr/share/doc/*/copyright", "usr/share/doc/libc6/copyright"));
        assert!(!covers("usr/share/doc/*/copyright", "usr/share/doc/a/b/copyright"));
        assert!(covers("lib/_dbm.*.so", "lib/_dbm.cpython-311-x86_64-linux-gnu.so"));
        assert!(covers("lib/*a*b", "lib/xaxb"));
        assert!(!covers("lib/*a*b", "lib/xbxa"));
        assert!(!covers("lib/ab*ba", "lib/aba"));
    }
}
