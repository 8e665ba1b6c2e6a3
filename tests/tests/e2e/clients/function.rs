//! Functions to build: archives by Info-ZIP, with what archives have (links, programs, empty files, odd names), and what
//! the functions answer.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use zipship_tests::Example;

use super::output;

/// A function's archive and what it answers.
pub(super) struct Function {
    /// Its repository's name.
    pub(super) name: &'static str,
    pub(super) runtime: &'static str,
    pub(super) handler: &'static str,
    pub(super) archive: PathBuf,
    pub(super) answer: &'static str,
    _folder: TempDir,
}

impl Function {
    pub(super) fn node() -> Self {
        let handler = "const greet = require('greet');\n\nexports.handle = () => ({ statusCode: 200, body: greet() });\n";
        Self::of("node", "node10", "hello of node", |root| {
            write(root, "handler.js", handler);
            write(root, "node_modules/greet/index.js", "module.exports = () => 'hello of node';\n");
            write(root, "node_modules/greet/cli.js", "#!/usr/bin/env node\n");
            make_executable(&root.join("node_modules/greet/cli.js"));
            fs::create_dir_all(root.join("node_modules/.bin")).unwrap();
            symlink("../greet/cli.js", root.join("node_modules/.bin/greet")).unwrap();
            write_oddities(root);
        })
    }

    pub(super) fn python() -> Self {
        let handler = "import greet\n\n\ndef handle(event, context):\n    return {\"statusCode\": 200, \"body\": greet.TEXT}\n";
        Self::of("python", "python311", "hello of python", |root| {
            write(root, "handler.py", handler);
            write(root, "package/greet/__init__.py", "TEXT = 'hello of python'\n");
            write_oddities(root);
        })
    }

    /// The example that users copy, with its vendored library.
    pub(super) fn golang() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("function.zip");
        fs::write(&archive, Example::read("golang/hello").unwrap().archive().unwrap().bytes()).unwrap();
        let answer = "{\"message\":\"Hello, World\"}";
        Self { name: "golang", runtime: "golang", handler: ".", archive, answer, _folder: folder }
    }

    fn of(name: &'static str, runtime: &'static str, answer: &'static str, fill: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (root, archive) = (folder.path().join("function"), folder.path().join("function.zip"));
        fs::create_dir(&root).unwrap();
        fill(&root);
        output(Command::new("zip").args(["-q", "-r", "-y"]).arg(&archive).arg(".").current_dir(&root));
        Self { name, runtime, handler: "handler.handle", archive, answer, _folder: folder }
    }
}

fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn write_oddities(root: &Path) {
    write(root, "data/empty", "");
    write(root, "data/ünïcode name.txt", "é");
    // Too long for the fields of a tar header.
    write(root, &format!("data/{}/{}/long", "d".repeat(120), "e".repeat(180)), "deep");
    write(root, "data/text", "many equal lines\n".repeat(40_000));
    // What Info-ZIP stores, since it does not shrink.
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    write(root, "data/noise", noise.take(200_000).collect::<Vec<u8>>());
    fs::create_dir_all(root.join("data/nothing in it")).unwrap();
}
