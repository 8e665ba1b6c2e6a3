//! Compiled caches as layers of the image: above everything else of the function, those of the image's own workers
//! below those of the function.

use oci::Digest;

use super::{Caches, Portions, Precompile, PrecompileError, PrecompileJob, node, python, variable};
use crate::layer::{self, Made, Part};
use crate::split::split;
use crate::tree::Tree;
use crate::{BuildError, BuildRequest};

/// What compiling came to.
#[derive(Default)]
pub(crate) struct Compiled {
    /// Lowest first; none is empty.
    pub(crate) layers: Vec<Made>,
    /// The environment variable that the interpreter finds them by.
    pub(crate) variable: Option<(String, String)>,
    /// Sources of the user's own that do not compile; sentences.
    pub(crate) warnings: Vec<String>,
}

/// Compiles a function's sources, portion by portion.
pub(crate) fn make(tree: &Tree<'_>, request: &BuildRequest<'_>) -> Result<Compiled, BuildError> {
    let mut compiled = Compiled::default();
    let Some(precompile) = request.precompile else { return Ok(compiled) };
    match precompile.portions() {
        Portions::Whole => compiled.add(tree, None, precompile, request)?,
        Portions::Parts => {
            let split = split(tree, request.runtime.language());
            // Nothing in there is the user's own, so no warning is lost when the layer is kept.
            let key = layer::key_of(&split.dependencies, &maker(request), &request.layers);
            compiled.add(&split.dependencies, key, precompile, request)?;
            compiled.add(&split.code, None, precompile, request)?;
        }
    }
    if !compiled.layers.is_empty() {
        compiled.variable = variable(request.runtime.language());
    }
    Ok(compiled)
}

impl Compiled {
    fn add(
        &mut self,
        tree: &Tree<'_>,
        key: Option<Digest>,
        precompile: &dyn Precompile,
        request: &BuildRequest<'_>,
    ) -> Result<(), BuildError> {
        if let Some(kept) = key.as_ref().and_then(|key| layer::kept(Part::Caches, key, &request.layers)) {
            self.layers.push(kept);
            return Ok(());
        }
        let (language, mtime) = (request.runtime.language(), request.layers.mtime);
        let base = &request.base.image;
        let caches: Caches = precompile.precompile(&PrecompileJob { tree, language, base, mtime })?;
        self.layers.extend(Made::of_workers(&caches.workers).map_err(PrecompileError::Io)?);
        if !caches.files.is_empty() {
            let (tree, limit) = (caches.tree(), request.limits.decode_time);
            self.layers.push(layer::make_as(Part::Caches, key.as_ref(), &tree, limit, &request.layers)?);
        }
        self.warnings.extend(caches.warnings);
        Ok(())
    }
}

/// Everything but the sources that compiled caches depend on: the interpreter, and what is run in it.
fn maker(request: &BuildRequest<'_>) -> String {
    let scripts = Digest::of([python::SCRIPT, node::SCRIPT].concat().as_bytes());
    format!("{} on {}, scripts {scripts}", request.runtime, request.base.digest)
}
