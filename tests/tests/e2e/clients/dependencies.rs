//! A function's dependencies, installed by the document's own command in our build images, run by podman; what was
//! installed is then uploaded and runs on the runtime.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use zipship_tests::{Function, Spec, Zip};

use super::{output, podman::Podman, world::World};

/// Where a machine and our images have their certificates.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Home of the image's user; pip of an image looks below it.
const HOME: &str = "/home/app";

/// pip's command as the document has it.
const INSTALL: &str = "pip install -r requirements.txt --target ./package";

/// One package of Python alone, one from a wheel with compiled code, and one that the image's compiler makes.
fn requirements(wheel: &str) -> String {
    format!("six==1.17.0\n{wheel}\nsimplejson==3.19.3\n--no-binary simplejson\n")
}

/// Answers where the packages are, and whether their compiled parts are in use.
const HANDLER: &str = "
import sys
import markupsafe._speedups
import simplejson.encoder
import simplejson.scanner
import six


def handle(event, context):
    compiled = [simplejson.encoder.c_make_encoder, simplejson.scanner.c_make_scanner]
    return {'statusCode': 200, 'body': {
        'python': '%d.%d' % sys.version_info[:2],
        'six': six.__file__.rsplit('/', 1)[0],
        'markupsafe': markupsafe._speedups.__file__,
        'simplejson': all(compiled) and simplejson.dumps([1]),
    }}
";

/// `docker run --rm -v $(pwd):/home/app/function --workdir /home/app/function IMAGE pip ...`, in a function's folder.
fn install(podman: &Podman, image: &str, folder: &Path, options: &[String]) {
    let volume = format!("{}:/home/app/function", folder.display());
    let mut run = podman.run_command(&["--rm", "-v", &volume, "--workdir", "/home/app/function"]);
    run.args(of_this_machine()).args(options).arg(image).args(INSTALL.split(' '));
    output(&mut run);
}

/// pip inside is configured as this machine's: index, credentials, certificates. Values stay off the command line.
fn of_this_machine() -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let variables = names.filter(|name| name.starts_with("PIP_")).map(|name| format!("--env={name}"));
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    let users = (home.join(".config/pip/pip.conf"), PathBuf::from(HOME).join(".config/pip/pip.conf"));
    // What a variable names lies where it says.
    let named = ["PIP_CERT", "PIP_CONFIG_FILE"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let same = named.chain(["/etc/pip.conf", BUNDLE].map(PathBuf::from)).map(|path| (path.clone(), path));
    let there: BTreeMap<_, _> = same.chain([users]).filter(|(from, _)| from.is_file()).collect();
    let files = there.iter().map(|(from, to)| format!("--volume={}:{}:ro", from.display(), to.display()));
    variables.chain(files).collect()
}

/// A build image, pushed to our registry as a user would give it to others, and pulled from there.
fn pulled(world: &World, podman: &Podman, image: &str) -> String {
    let reference = world.push_image(image);
    podman.pull(world, &reference);
    reference
}

/// Installs with an image, deploys the folder on a runtime, and answers what the function says.
async fn installed_and_called(image: &str, runtime: &str, wheel: &str) -> anyhow::Result<Value> {
    let world = World::new().await?;
    let podman = Podman::new(&world);
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("requirements.txt"), requirements(wheel))?;
    fs::write(folder.path().join("handler.py"), HANDLER)?;
    install(&podman, &pulled(&world, &podman, image), folder.path(), &[]);
    let spec = Spec { runtime, handler: "handler.handle", privacy: "public" };
    let function = Function::deployed(world.api(), spec, &Zip::of_folder(folder.path())?).await?;
    let answer = function.call().await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = serde_json::from_str(&answer.text())?;
    drop(podman);
    world.end()?;
    Ok(said)
}

const PACKAGE: &str = "/home/app/function/package";

#[tokio::test(flavor = "multi_thread")]
async fn what_python_dep3_installs_and_compiles_runs_on_python311() -> anyhow::Result<()> {
    let said = installed_and_called("python-dep3", "python311", "markupsafe==3.0.2").await?;
    let speedups = format!("{PACKAGE}/markupsafe/_speedups.cpython-311-x86_64-linux-gnu.so");
    let expected = json!({"python": "3.11", "six": PACKAGE, "markupsafe": speedups, "simplejson": "[1]"});
    assert_eq!(said, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_python_dep2_installs_and_compiles_runs_on_python27() -> anyhow::Result<()> {
    let said = installed_and_called("python-dep2", "python", "markupsafe==1.1.1").await?;
    let speedups = format!("{PACKAGE}/markupsafe/_speedups.so");
    let expected = json!({"python": "2.7", "six": PACKAGE, "markupsafe": speedups, "simplejson": "[1]"});
    assert_eq!(said, expected);
    Ok(())
}

/// The page's other way: nothing in the folder belongs to root afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn dependencies_belong_to_whoever_installs_them() -> anyhow::Result<()> {
    const SOMEBODY: u32 = 4321;
    let world = World::new().await?;
    let podman = Podman::new(&world);
    let folder = tempfile::tempdir()?;
    chown(folder.path(), Some(SOMEBODY), Some(SOMEBODY))?;
    fs::write(folder.path().join("requirements.txt"), "six==1.17.0\n")?;
    let user = format!("--user={SOMEBODY}:{SOMEBODY}");
    install(&podman, &pulled(&world, &podman, "python-dep3"), folder.path(), &[user]);
    let listed = output(Command::new("find").arg(folder.path().join("package")));
    let listed = String::from_utf8(listed)?;
    assert!(listed.contains("/package/six.py\n"), "{listed}");
    for path in listed.lines() {
        assert_eq!(fs::metadata(path)?.uid(), SOMEBODY, "{path}");
    }
    drop(podman);
    world.end()
}
