//! Wheels of pure Python: a zip whose files go into one folder, and a list of commands.

use bytes::Bytes;

use super::Recipe;
use super::tree::{Node, Tree};
use crate::zip::{self, ArchiveLimits, Inflater, Kind};

/// Where commands go.
const COMMANDS: &str = "usr/local/bin";

/// Adds a wheel's files to the tree at the place that the recipe gives them, and its commands.
pub(crate) fn unpack(bytes: &[u8], recipe: &Recipe, name: &str, into: &mut Tree) -> Result<(), String> {
    let package = recipe.python.iter().find(|package| package.name == name).ok_or("not in the recipe")?;
    let archive = zip::vet(bytes, &ArchiveLimits::default()).map_err(|refusal| refusal.to_string())?;
    let mut inflater = Inflater::new();
    for entry in &archive.entries {
        let data = match &entry.kind {
            Kind::Directory => continue,
            Kind::File { data, .. } => data,
            Kind::Link { .. } => return Err(format!("{} is a link, which no wheel has", entry.path)),
        };
        let top = entry.path.split('/').next().unwrap_or_default();
        if top.ends_with(".data") {
            return Err(format!("{} belongs elsewhere: only pure wheels are supported", entry.path));
        }
        let content = data.read(&entry.path, &mut inflater).map_err(|refusal| refusal.to_string())?;
        if top.ends_with(".dist-info") && entry.path.ends_with("/entry_points.txt") {
            let text = String::from_utf8_lossy(&content);
            for (command, function) in commands(&text) {
                add(
                    into,
                    &format!("{COMMANDS}/{command}"),
                    script(recipe.interpreter(), function)?.into(),
                    0o755,
                )?;
            }
        }
        add(into, &format!("{}/{}", package.into, entry.path), content.into(), 0o644)?;
    }
    Ok(())
}

fn add(into: &mut Tree, path: &str, bytes: Bytes, mode: u32) -> Result<(), String> {
    into.insert(path, Node::File { bytes, mode }).map_err(|refusal| refusal.to_string())
}

/// The console scripts of an `entry_points.txt`: name and `module:function`.
fn commands(text: &str) -> Vec<(&str, &str)> {
    let section = text.lines().map(str::trim).skip_while(|line| *line != "[console_scripts]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, function)| (name.trim(), function.trim()))
        .collect()
}

/// What pip itself would write for a command.
fn script(interpreter: &str, function: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    match function.split_once(':') {
        Some((module, function)) if module.chars().all(plain) && function.chars().all(plain) => Ok(format!(
            "#!/{interpreter}\nimport sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
        )),
        _ => Err(format!("the command {function:?} is not of the form module:function")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ::zip::ZipWriter;
    use ::zip::write::SimpleFileOptions;

    use super::*;

    fn recipe() -> Recipe {
        toml::from_str(
            "runtime = 'python-dep3'\nsuite = 'b'\ndebian = []\ninterpreter = '/usr/bin/python3.11'\n\
             [[python]]\nname = 'tool'\nversion = '1'\ninto = 'usr/lib/python3/dist-packages'",
        )
        .unwrap()
    }

    fn wheel(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, text) in files {
            writer.start_file(*path, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn modules_and_commands_are_placed() {
        let bytes = wheel(&[
            ("tool/__init__.py", "x = 1\n"),
            (
                "tool-1.dist-info/entry_points.txt",
                "[other]\na = b:c\n[console_scripts]\ntool = tool.cli:main\n\n[more]\nd = e:f\n",
            ),
        ]);
        let mut tree = Tree::default();
        unpack(&bytes, &recipe(), "tool", &mut tree).unwrap();
        let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
        let expected = [
            "usr/lib/python3/dist-packages/tool-1.dist-info/entry_points.txt",
            "usr/lib/python3/dist-packages/tool/__init__.py",
            "usr/local/bin/tool",
        ];
        assert_eq!(paths, expected);
        let Some(Node::File { bytes, mode: 0o755 }) = tree.get("usr/local/bin/tool") else {
            panic!("no command")
        };
        let script = std::str::from_utf8(bytes).unwrap();
        assert!(
            script.starts_with("#!/usr/bin/python3.11\n") && script.contains("from tool.cli import main\n"),
            "{script}"
        );
    }

    #[test]
    fn what_is_no_pure_wheel_is_refused() {
        let refused = |files: &[(&str, &str)]| {
            unpack(&wheel(files), &recipe(), "tool", &mut Tree::default()).unwrap_err()
        };
        assert!(refused(&[("tool-1.data/scripts/x", "")]).contains("only pure wheels"));
        let odd = "[console_scripts]\ntool = os:system('x')";
        assert!(refused(&[("tool-1.dist-info/entry_points.txt", odd)]).contains("not of the form"));
        assert!(unpack(b"no zip", &recipe(), "tool", &mut Tree::default()).is_err());
    }
}
