//! Compiled caches on this machine: the image is unpacked into a temporary folder, which is the root of a sandbox
//! without network and without privileges.

use std::fs;
use std::time::Duration;

use super::plan::{Room, plan, runnable};
use super::sandbox::{self, Run};
use super::{Caches, Precompile, PrecompileError, PrecompileJob, root};

/// Where sources, script and results are in the sandbox: a name that no image has.
const FOLDER: &str = ".zipship-precompile";

/// Compiles in a sandbox that needs no root: user namespaces, through `unshare` of util-linux.
#[derive(Debug, Clone)]
pub struct LocalPrecompile {
    /// How long the interpreter may take.
    pub timeout: Duration,
}

impl Precompile for LocalPrecompile {
    fn precompile(&self, job: &PrecompileJob<'_>) -> Result<Caches, PrecompileError> {
        // Told before anything is unpacked.
        runnable(job)?;
        sandbox::probe()?;
        let all = tempfile::Builder::new().prefix("zipship-precompile-").tempdir()?;
        let root = all.path().join("root");
        fs::create_dir(&root)?;
        root::unpack(job.base, &root)?;
        let folder = root.join(FOLDER);
        fs::create_dir(&folder)?;
        fs::create_dir(folder.join("out"))?;
        let room = Room {
            folder: &folder,
            inside: &format!("/{FOLDER}"),
            scratch: &format!("/{FOLDER}/out"),
            // Its words go to another file.
            results: 1,
            image: Some(&root),
        };
        let plan = plan(job, &room)?;
        let mut results = sandbox::run(&Run { root: &root, plan: &plan, timeout: self.timeout })?;
        plan.collect(&mut results)
    }
}
