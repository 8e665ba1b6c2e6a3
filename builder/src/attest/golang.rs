//! What a Go program says of itself: the compiler writes its own version and the modules into each program
//! (`debug/buildinfo`; `go version -m` prints it). A program of a GOPATH has no modules in it.

use std::sync::{Mutex, PoisonError};

use super::package::{Ecosystem, Package};
use crate::golang::{Compile, CompileError, CompileJob};

/// How the record begins, on an address that 16 divides.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes of the record's head.
const HEAD: usize = 32;
/// In the head's flags: the texts follow the head.
const INLINE: u8 = 2;
/// The modules stand between two marks of so many bytes.
const MARK: usize = 16;

/// What is known of a compiled program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoProgram {
    /// The compiler's version: `go1.26.6`.
    pub toolchain: String,
    /// Path and version of the modules in it, as `go version -m` lists them, without the program's own.
    pub modules: Vec<(String, String)>,
}

impl GoProgram {
    /// What a program says. None: it was not made by a Go compiler of these days (1.18 and newer).
    #[must_use]
    pub fn read(program: &[u8]) -> Option<Self> {
        let starts = |at: &usize| program[*at..].starts_with(MAGIC);
        let at = (0..program.len()).step_by(16).find(starts)?;
        let record = &program[at..];
        if record.get(MAGIC.len() + 1)? & INLINE == 0 {
            return None;
        }
        let (toolchain, rest) = text(record.get(HEAD..)?)?;
        let (modules, _) = text(rest)?;
        let toolchain = std::str::from_utf8(toolchain).ok()?.to_owned();
        let modules = modules.get(MARK..modules.len().saturating_sub(MARK)).unwrap_or_default();
        Some(Self { toolchain, modules: listed(&String::from_utf8_lossy(modules)) })
    }

    pub(super) fn packages(&self) -> Vec<Package> {
        let version = self.toolchain.strip_prefix("go").unwrap_or(&self.toolchain);
        let library = Package::new(Ecosystem::Go, "stdlib", version).licensed(Some("BSD-3-Clause"));
        let modules = self.modules.iter().map(|(path, version)| Package::new(Ecosystem::Go, path, version));
        modules.chain([library]).collect()
    }
}

/// A text behind its length (a base-128 number), and what follows.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut length, mut shift) = (0_usize, 0);
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let rest = &bytes[at + 1..];
            return Some((rest.get(..length)?, &rest[length..]));
        }
    }
    None
}

/// The lines `dep <path> <version> <sum>`; a line `=> <path> <version> <sum>` says what stands in for the one before.
fn listed(text: &str) -> Vec<(String, String)> {
    let mut modules: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('\t');
        let kind = words.next();
        let (Some(path), version) = (words.next(), words.next().unwrap_or_default()) else { continue };
        let module = (path.to_owned(), version.to_owned());
        match kind {
            Some("dep") => modules.push(module),
            Some("=>") => drop(modules.pop().map(|_| modules.push(module))),
            _ => {}
        }
    }
    modules
}

/// A compiler whose programs are looked into.
pub struct Observed<C> {
    compiler: C,
    seen: Mutex<Option<GoProgram>>,
}

impl<C: Compile> Observed<C> {
    /// Looks into what this compiler makes.
    pub fn new(compiler: C) -> Self {
        Self { compiler, seen: Mutex::default() }
    }

    /// What the last program says of itself.
    pub fn program(&self) -> Option<GoProgram> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<C: Compile> Compile for Observed<C> {
    fn compile(&self, job: &CompileJob) -> Result<Vec<u8>, CompileError> {
        let program = self.compiler.compile(job)?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = GoProgram::read(&program);
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(toolchain: &str, modules: &str) -> Vec<u8> {
        let mut bytes = vec![0; 48];
        bytes.extend_from_slice(MAGIC);
        bytes.extend([8, INLINE]);
        bytes.resize(48 + HEAD, 0);
        for text in [toolchain.to_owned(), format!("{}{modules}{}", "a".repeat(MARK), "b".repeat(MARK))] {
            let length = text.len();
            bytes.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    #[test]
    fn modules_and_what_stands_in_for_them() {
        let text = "path\tx\nmod\tx\t(devel)\t\ndep\ta.test/a\tv1.0.0\th1:x=\ndep\ta.test/b\tv2.0.0\n=>\ta.test/c\tv3.0.0\th1:y=\nbuild\t-trimpath=true\n";
        let program = GoProgram::read(&record("go1.26.6", text)).unwrap();
        let modules: Vec<_> =
            program.modules.iter().map(|(path, version)| format!("{path}@{version}")).collect();
        assert_eq!(
            (program.toolchain.as_str(), modules),
            ("go1.26.6", vec!["a.test/a@v1.0.0".into(), "a.test/c@v3.0.0".into()])
        );
        assert_eq!(program.packages()[2].url(), "pkg:golang/stdlib@1.26.6");
    }

    #[test]
    fn other_programs_say_nothing() {
        assert_eq!(GoProgram::read(b"\x7fELF"), None);
        let whole = record("go1.26.6", "dep\ta\tv1\n");
        for length in 0..whole.len() {
            // Cut anywhere: no panic, and no half of a list.
            assert_eq!(GoProgram::read(&whole[..length]), None, "{length}");
        }
    }
}
