//! The pipelines: ours, and the shortest that each of the others has.

use std::{path::Path, process::Command};

use super::{
    pipeline::{Job, Pipeline, Step, unzip},
    sets::run,
    world::World,
};

const USER: &str = "1000:1000";
const ENTRYPOINT: &str = "/usr/local/bin/zipship-shim";
pub(super) const HANDLER: &str = "handler.handle";
const VARIABLE: &str = "SCW_HANDLER=handler.handle";
/// Where the files go in the image.
const FOLDER: &str = "/home/app/function";

/// Ours first.
pub(super) static ALL: [Pipeline; 4] = [
    Pipeline { name: "zipship", prepare: |_| Ok(()), steps: zipship },
    Pipeline { name: "crane", prepare: |_| Ok(()), steps: crane },
    Pipeline { name: "umoci+skopeo", prepare: umoci_base, steps: umoci },
    Pipeline { name: "buildah", prepare: buildah_base, steps: buildah },
];

/// Ours as it is.
pub(super) fn zipship(job: &Job<'_>) -> anyhow::Result<Vec<Step>> {
    Ok(vec![Step::Run(zipship_command(job, HANDLER)?)])
}

/// Our one command.
pub(super) fn zipship_command(job: &Job<'_>, handler: &str) -> anyhow::Result<Command> {
    let place = &job.world.place;
    let mut zipship = Command::new(place.existing("ZIPSHIP_BIN")?);
    zipship.arg("build").arg(job.zip).args(["--runtime", job.set.runtime, "--handler", handler]);
    zipship.arg("--images-dir").arg(place.existing("ZIPSHIP_IMAGES")?);
    zipship.args(["--insecure", "--mount-from", &format!("base/{}", job.set.base), "-t", &job.target]);
    // As much as the largest archive here is; the others are far below.
    zipship.args(["--limit", "archive-bytes=2G", "--limit", "unpacked-bytes=4G"]);
    // What it remembers lives as long as the sample's repository.
    zipship.env("XDG_CACHE_HOME", job.scratch.join("cache"));
    Ok(zipship)
}

fn crane(job: &Job<'_>) -> anyhow::Result<Vec<Step>> {
    let (unzip, folder) = unzip(job)?;
    Ok([unzip].into_iter().chain(append(job, &folder, HANDLER)?).collect())
}

/// A folder on the base, by crane. The tar goes through a pipe: with a file crane compresses it twice.
pub(super) fn append(job: &Job<'_>, folder: &Path, handler: &str) -> anyhow::Result<Vec<Step>> {
    let program = job.world.place.existing("ZIPSHIP_CLIENTS")?.join("crane/crane");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder).arg(format!("--transform=s,^\\.,{},", &FOLDER[1..]));
    tar.args(["--owner=1000", "--group=1000", "--mtime=@0", "--sort=name", "-cf", "-", "."]);
    let base = job.world.base_image(job.set.base);
    let mut append = Command::new(&program);
    append.args(["append", "--insecure", "-f", "-", "-b", &base, "-t", &job.target]);
    let mut mutate = Command::new(&program);
    mutate.args(["mutate", "--insecure", "--user", USER, "--env", &format!("SCW_HANDLER={handler}")]);
    mutate.args(["--entrypoint", ENTRYPOINT, "-t", &job.target, &job.target]);
    Ok(vec![Step::Pipe(tar, append), Step::Run(mutate)])
}

fn umoci_layout(world: &World, base: &str) -> String {
    world.folder().join(format!("umoci-{base}")).display().to_string()
}

/// The bases as layouts of umoci's own, with a tag.
fn umoci_base(world: &World) -> anyhow::Result<()> {
    for base in super::world::BASES {
        let from = format!("oci:{}", world.base(base)?.layout.display());
        let to = format!("oci:{}:base", umoci_layout(world, base));
        run(Command::new("skopeo").args(["copy", "--quiet", "--insecure-policy", &from, &to]))?;
    }
    Ok(())
}

fn umoci(job: &Job<'_>) -> anyhow::Result<Vec<Step>> {
    let (unzip, folder) = unzip(job)?;
    let layout = umoci_layout(job.world, job.set.base);
    let tag = job.world.fresh();
    let mut insert = Command::new("umoci");
    insert.args(["insert", "--image", &format!("{layout}:base"), "--tag", &tag]).arg(folder).arg(FOLDER);
    let mut config = Command::new("umoci");
    config.args(["config", "--image", &format!("{layout}:{tag}"), "--config.user", USER]);
    config.args(["--config.env", VARIABLE, "--config.entrypoint", ENTRYPOINT]);
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"]);
    copy.arg(format!("oci:{layout}:{tag}")).arg(format!("docker://{}", job.target));
    Ok(vec![unzip, Step::Run(insert), Step::Run(config), Step::Run(copy)])
}

/// buildah with a storage of its own.
fn buildah_command(world: &World) -> Command {
    let mut command = Command::new("buildah");
    command.arg("--root").arg(world.folder().join("buildah-root"));
    command.arg("--runroot").arg(world.folder().join("buildah-run"));
    command
}

/// The bases in its storage.
fn buildah_base(world: &World) -> anyhow::Result<()> {
    for base in super::world::BASES {
        run(buildah_command(world).args(["pull", "--quiet", "--tls-verify=false", &world.base_image(base)]))?;
    }
    Ok(())
}

fn buildah(job: &Job<'_>) -> anyhow::Result<Vec<Step>> {
    let (unzip, folder) = unzip(job)?;
    let container = job.world.fresh();
    let mut from = buildah_command(job.world);
    from.args(["from", "--quiet", "--pull-never", "--name", &container, &job.world.base_image(job.set.base)]);
    let mut add = buildah_command(job.world);
    add.args(["add", "--quiet", "--chown", USER, &container]).arg(folder).arg(FOLDER);
    let mut config = buildah_command(job.world);
    config.args(["config", "--user", USER, "--env", VARIABLE, &container]);
    let mut commit = buildah_command(job.world);
    commit.args(["commit", "--quiet", "--rm", "--tls-verify=false", &container]);
    commit.arg(format!("docker://{}", job.target));
    Ok(vec![unzip, Step::Run(from), Step::Run(add), Step::Run(config), Step::Run(commit)])
}
