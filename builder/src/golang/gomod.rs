//! What the builder must know of a go.mod: which modules it asks for, and where it sends them. The go tool
//! reads the rest.

/// The first module that is required and that no `replace` finds inside the archive; `None` when the standard
/// library and the archive are enough.
pub(super) fn first_needed(text: &str) -> Option<&str> {
    let local: Vec<&str> = replacements(text)
        .filter(|(_, target)| is_path(target))
        .filter_map(|(words, _)| words.first().copied())
        .collect();
    directives(text, "require").filter_map(|words| words.first().copied()).find(|name| !local.contains(name))
}

/// The first `replace` whose target is a path that is not below `root`'s archive: absolute, or with too many
/// `..`. `root` is the go.mod's directory, `.` for the archive's root.
pub(super) fn first_outside<'t>(text: &'t str, root: &str) -> Option<&'t str> {
    let outside = |target: &str| {
        let depth = root.split('/').filter(|part| !matches!(*part, "" | ".")).count();
        let up = target.split('/').try_fold(depth, |depth, part| match part {
            "" | "." => Some(depth),
            ".." => depth.checked_sub(1),
            _ => Some(depth + 1),
        });
        target.starts_with('/') || up.is_none()
    };
    replacements(text).map(|(_, target)| target).find(|target| is_path(target) && outside(target))
}

/// The words of each `replace` and its target.
fn replacements(text: &str) -> impl Iterator<Item = (Vec<&str>, &str)> {
    directives(text, "replace").filter_map(|words| {
        let target = *words.iter().skip_while(|word| **word != "=>").nth(1)?;
        Some((words, target))
    })
}

/// As the go tool has it: a target is a path when it begins as one.
fn is_path(target: &str) -> bool {
    target.starts_with('/') || matches!(target.split('/').next(), Some("." | ".."))
}

/// The words of every line of a directive, in its one-line and its block form, without quotes.
fn directives<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = Vec<&'t str>> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let words: Vec<&str> = line
            .split("//")
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '`']))
            .collect();
        match words.as_slice() {
            [first, "("] if *first == name => inside = true,
            [first] if first.strip_suffix('(') == Some(name) => inside = true,
            [")", ..] => inside = false,
            [first, rest @ ..] if *first == name && !rest.is_empty() => return Some(rest.to_vec()),
            [_, ..] if inside => return Some(words),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_needed_unless_the_archive_has_it() {
        let text =
            "module x\nreplace here => ./here\nrequire (\n\there v1 // c\n\tgithub.com/a/b v1.2.3\n)\n";
        assert_eq!(first_needed(text), Some("github.com/a/b"));
        assert_eq!(first_needed("module x\nrequire here v1\nreplace here v1 => ../here\n"), None);
        assert_eq!(first_needed("module x\nrequire \"a.b/c\" v1\n"), Some("a.b/c"));
        assert_eq!(first_needed("require(\n a.b/c v1\n)\n"), Some("a.b/c"));
        assert_eq!(first_needed("require a.b/c v1\nreplace a.b/c => d.e/f v2\n"), Some("a.b/c"));
        assert_eq!(first_needed("module x\n\ngo 1.21\n"), None);
    }

    #[test]
    fn a_replacement_stays_in_the_archive() {
        let outside = |target: &str, root| {
            let text = format!("replace a.b/c => {target}\n");
            first_outside(&text, root).is_some()
        };
        for inside in ["./lib", "../lib", "../../lib", "./a/../../lib", "github.com/d/e v1.0.0", "..."] {
            assert!(!outside(inside, "svc/api"), "{inside}");
        }
        for leaves in ["/etc", "../..", "./..", "./a/../../.."] {
            assert!(outside(leaves, "."), "{leaves}");
        }
        assert!(outside("../../../x", "svc/api"));
    }
}
