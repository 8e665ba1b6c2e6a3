//! What a Go program says of itself: the compiler writes its own version and the modules into each program
//! (`debug/buildinfo`; `go version -m` prints it). A program of a GOPATH has no modules in it.

use std::sync::{Mutex, PoisonError};

use super::package::{Ecosystem, Package};
use crate::golang::{Compile, CompileError, CompileJob};

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
        let (toolchain, modules) = crate::golang::record(program)?;
        let toolchain = toolchain.to_owned();
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
            // A folder has no place in a list of packages; the name that it stands in for says more.
            Some("=>") if module.0.starts_with(['.', '/']) => {}
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

    /// An ELF file with the record as its one section, and another program's record before it.
    fn program(toolchain: &str, modules: &str) -> Vec<u8> {
        let mut record = b"\xff Go buildinf:".to_vec();
        record.extend([8, 2]);
        record.resize(32, 0);
        for text in [toolchain.to_owned(), format!("{}{modules}{}", "a".repeat(MARK), "b".repeat(MARK))] {
            let length = text.len();
            record.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
            record.extend(text.as_bytes());
        }
        let names = b"\0.go.buildinfo\0.shstrtab\0";
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        // What a program may hold anywhere: not a section of its own.
        elf.extend(b"\xff Go buildinf:\x08\x02");
        elf.resize(96, 0);
        let at = elf.len();
        elf.extend(&record);
        let names_at = elf.len();
        elf.extend(names);
        let table = elf.len();
        for (name, start, size) in [(0_u32, 0, 0), (1, at, record.len()), (15, names_at, names.len())] {
            let mut header = vec![0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&(start as u64).to_le_bytes());
            header[0x20..0x28].copy_from_slice(&(size as u64).to_le_bytes());
            elf.extend(header);
        }
        elf[0x28..0x30].copy_from_slice(&(table as u64).to_le_bytes());
        elf[0x3a..0x40].copy_from_slice(&[64, 0, 3, 0, 2, 0]);
        elf
    }

    #[test]
    fn modules_and_what_stands_in_for_them() {
        let text = "path\tx\nmod\tx\t(devel)\t\ndep\ta.test/a\tv1.0.0\th1:x=\ndep\ta.test/b\tv2.0.0\n=>\ta.test/c\tv3.0.0\th1:y=\ndep\ta.test/d\tv4.0.0\n=>\t./d\t\nbuild\t-trimpath=true\n";
        let program = GoProgram::read(&program("go1.26.6", text)).unwrap();
        let modules: Vec<_> =
            program.modules.iter().map(|(path, version)| format!("{path}@{version}")).collect();
        assert_eq!(
            (program.toolchain.as_str(), modules),
            ("go1.26.6", vec!["a.test/a@v1.0.0".into(), "a.test/c@v3.0.0".into(), "a.test/d@v4.0.0".into()])
        );
        assert_eq!(program.packages()[3].url(), "pkg:golang/stdlib@1.26.6");
    }

    #[test]
    fn other_programs_say_nothing() {
        assert_eq!(GoProgram::read(b"\x7fELF"), None);
        let whole = program("go1.26.6", "dep\ta\tv1\n");
        for length in 0..whole.len() {
            // Cut anywhere: no panic, and no half of a list.
            assert_eq!(GoProgram::read(&whole[..length]), None, "{length}");
        }
    }
}
