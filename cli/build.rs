//! Puts the static shim and the worker programs into the binary when `ZIPSHIP_EMBED_SHIM` names the shim, as
//! `scripts/build` does; `ZIPSHIP_EMBED_SHIM_ARM64` adds the one for arm64. Without it they are looked for beside the executable or in the checkout.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=ZIPSHIP_EMBED_SHIM");
    println!("cargo:rerun-if-env-changed=ZIPSHIP_EMBED_SHIM_ARM64");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("embedded.rs");
    let source = match env::var_os("ZIPSHIP_EMBED_SHIM").filter(|path| !path.is_empty()) {
        Some(shim) => embedded(Path::new(&shim)),
        None => "pub(crate) const EMBEDDED: Option<super::Embedded> = None;\n".to_owned(),
    };
    fs::write(out, source).expect("OUT_DIR can be written");
}

fn embedded(shim: &Path) -> String {
    let workers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-shim/workers");
    let mut files = BTreeMap::from([("zipship-shim".to_owned(), shim.to_owned())]);
    if let Some(arm64) = env::var_os("ZIPSHIP_EMBED_SHIM_ARM64").filter(|path| !path.is_empty()) {
        files.insert("zipship-shim-arm64".to_owned(), arm64.into());
    }
    collect(&workers, "workers", &mut files);
    let mut hasher = DefaultHasher::new();
    let mut list = String::new();
    for (name, path) in &files {
        println!("cargo:rerun-if-changed={}", path.display());
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name, bytes).hash(&mut hasher);
        let path = fs::canonicalize(path).expect("it was read a moment ago");
        writeln!(list, "    ({name:?}, include_bytes!({path:?})),").expect("a string takes everything");
    }
    let key = format!("{:016x}", hasher.finish());
    format!(
        "pub(crate) const EMBEDDED: Option<super::Embedded> = Some(super::Embedded {{ key: {key:?}, files: &[\n{list}] }});\n"
    )
}

/// Every file below a folder; what interpreters leave there is not ours.
fn collect(folder: &Path, name: &str, files: &mut BTreeMap<String, PathBuf>) {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).expect("the worker programs are in the checkout").flatten() {
        let (path, file) = (entry.path(), entry.file_name().into_string().expect("plain names"));
        let name = format!("{name}/{file}");
        match path.is_dir() {
            true if file == "__pycache__" => {}
            true => collect(&path, &name, files),
            false => drop(files.insert(name, path)),
        }
    }
}
