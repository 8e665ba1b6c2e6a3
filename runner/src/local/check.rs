//! What the server may ask for: every number and name of a request, before anything is done with it.

use std::path::{Component, Path};

use oci::Digest;

use super::overlay::LAYERS_MAX;
use super::wire::{CompileCall, PrecompileCall};
use crate::{InstanceSpec, RunnerError};

/// Fine, or what is wrong.
pub(crate) type Checked = Result<(), RunnerError>;

/// Bytes of an instance's labels: with every byte escaped they fit into a packet of a list.
const LABEL_BYTES: usize = 16 << 10;

/// `[a-z0-9-]{1,64}`: ids become directory, group and container names.
pub(crate) fn id(id: &str) -> Checked {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=64).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('-');
    require(good, || format!("the id {id:?} is not of the form [a-z0-9-]{{1,64}}"))
}

pub(crate) fn instance(spec: &InstanceSpec) -> Checked {
    id(&spec.id)?;
    layers(&spec.layers)?;
    program(&spec.entrypoint, &spec.working_directory)?;
    let labels: usize = spec.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    require(labels <= LABEL_BYTES, || format!("labels of {labels} bytes, at most {LABEL_BYTES}"))?;
    within("memory_mb", spec.memory_mb, 32, 65_536)?;
    within("pids", spec.pids, 1, 65_536)
}

pub(crate) fn compile(call: &CompileCall) -> Checked {
    id(&call.id)?;
    program(&call.argv, &call.workdir)?;
    let below = ["/src", "/gopath"].iter().any(|directory| Path::new(&call.workdir).starts_with(directory));
    require(below, || format!("the working directory {:?} is not below /src or /gopath", call.workdir))?;
    job_limits(call.memory_mb, call.timeout_ms)
}

pub(crate) fn precompile(call: &PrecompileCall) -> Checked {
    id(&call.id)?;
    layers(&call.layers)?;
    program(&call.argv, "/")?;
    job_limits(call.memory_mb, call.timeout_ms)
}

fn job_limits(memory_mb: u32, timeout_ms: u64) -> Checked {
    within("memory_mb", memory_mb, 64, 65_536)?;
    require((1..=3_600_000).contains(&timeout_ms), || format!("timeout_ms {timeout_ms} is not 1 to 3600000"))
}

fn layers(layers: &[Digest]) -> Checked {
    let count = layers.len();
    require((1..=LAYERS_MAX).contains(&count), || format!("{count} layers, 1 to {LAYERS_MAX} are possible"))?;
    let mut distinct = layers.to_owned();
    distinct.sort();
    distinct.dedup();
    require(distinct.len() == count, || "a layer is named twice".to_owned())
}

pub(crate) fn millicores(value: u32) -> Checked {
    within("millicores", value, 10, 1_000_000)
}

fn program(argv: &[String], directory: &str) -> Checked {
    require(argv.first().is_some_and(|program| !program.is_empty()), || "no program to run".to_owned())?;
    let up = Path::new(directory).components().any(|part| part == Component::ParentDir);
    require(directory.starts_with('/') && !up, || {
        format!("the working directory {directory:?} is not absolute")
    })?;
    // A runtime enters it before the sandbox is closed: `/proc/self/fd/7` was a way out more than once.
    let kernel = ["/proc", "/dev", "/sys"].iter().any(|kernel| Path::new(directory).starts_with(kernel));
    require(!kernel, || format!("the working directory {directory:?} is the kernel's"))
}

fn within(what: &str, value: u32, least: u32, most: u32) -> Checked {
    require((least..=most).contains(&value), || format!("{what} {value} is not {least} to {most}"))
}

pub(crate) fn require(good: bool, text: impl FnOnce() -> String) -> Checked {
    if good { Ok(()) } else { Err(RunnerError::Invalid(text())) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_does_not_begin_among_the_kernels_files() {
        let argv = ["/bin/true".to_owned()];
        for bad in ["", "src", "/a/../b", "/proc/self/fd/7", "//proc/self/fd", "/./dev", "/sys"] {
            assert!(super::program(&argv, bad).is_err(), "{bad:?}");
        }
        for good in ["/", "/home/app/function", "/process"] {
            assert!(super::program(&argv, good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn an_id_can_not_leave_its_directory() {
        for bad in ["", ".", "..", "a/b", "A", "a b", "-x", "a\0", &"a".repeat(65)] {
            assert!(super::id(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "0", "f-1-2", &"a".repeat(64)] {
            assert!(super::id(good).is_ok(), "{good:?}");
        }
    }
}
