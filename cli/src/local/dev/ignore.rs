//! Changes that reload nothing: installed packages, version control, interpreters' caches, editors' scratch files,
//! and what the user names.

/// What is left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignored {
    patterns: Vec<String>,
}

const FOLDERS: [&str; 3] = ["node_modules", "__pycache__", "venv"];
const ENDINGS: [&str; 9] = ["~", ".swp", ".swo", ".swx", ".tmp", ".pyc", ".bak", ".orig", "___jb_tmp___"];
const BEGINNINGS: [&str; 4] = [".#", "#", ".goutputstream-", ".~lock."];

impl Ignored {
    /// Patterns of the user: a file or folder name, a path from the root, `*.ending` or `beginning*`.
    pub(crate) fn new(patterns: Vec<String>) -> Self {
        Self { patterns }
    }

    /// Whether what lies in a folder is left out; `path` is relative, with `/`.
    pub(super) fn folder(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        FOLDERS.contains(&name) || name.starts_with('.') || self.named(path)
    }

    /// Whether a file is left out.
    pub(super) fn file(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        let scratch = ENDINGS.iter().any(|ending| name.ends_with(ending))
            || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
            // Vim asks with this name whether it may write into a folder.
            || name == "4913"
            || name == ".DS_Store";
        scratch || self.named(path)
    }

    fn named(&self, path: &str) -> bool {
        self.patterns.iter().any(|pattern| {
            let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
            if pattern.contains('/') {
                let rest = path.strip_prefix(pattern);
                return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            }
            path.split('/').any(|name| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
                (Some(ending), _) => name.ends_with(ending),
                (None, Some(beginning)) => name.starts_with(beginning),
                (None, None) => name == pattern,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_files_and_installed_packages_are_left_out() {
        let ignored = Ignored::default();
        for path in ["handler.js~", ".handler.js.swp", "src/#h.py#", "src/.#h.py", "4913", "a.pyc"] {
            assert!(ignored.file(path), "{path}");
        }
        for path in ["handler.js", "src/h.py", ".env", "data.json", "go.mod", "template.html"] {
            assert!(!ignored.file(path), "{path}");
        }
        for path in ["node_modules", "src/__pycache__", ".git", ".venv"] {
            assert!(ignored.folder(path), "{path}");
        }
        assert!(!ignored.folder("src") && !ignored.folder("package") && !ignored.folder("vendor"));
    }

    #[test]
    fn what_the_user_names_is_left_out() {
        let ignored = Ignored::new(["*.log", "out", "data/cache/", "tmp*"].map(str::to_owned).into());
        for path in ["a.log", "src/a.log", "out", "src/out", "data/cache", "data/cache/x", "tmp1"] {
            assert!(ignored.file(path), "{path}");
        }
        for path in ["log", "outer", "data/cached", "x/data/cache"] {
            assert!(!ignored.file(path), "{path}");
        }
    }
}
