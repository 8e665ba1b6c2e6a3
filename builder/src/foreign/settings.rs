//! The configuration: the base's, with what starts the shim.

use contract::environment::{
    CODE_DIRECTORY, CONTAINER_UID, DEFAULT_PORT, SHIM_PATH, ZIPSHIP_LANGUAGE, ZIPSHIP_WORKER,
};
use contract::runtime::{Language, Runtime};
use oci::config::{ContainerConfig, History, ImageConfig};
use serde_json::{Value, json};

use super::ForeignError;

/// The directories that are searched for programs where the base names none: as Docker has it.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Members of Docker's configuration that belong to the program that the base starts, and what each does.
const OF_THE_BASES_PROGRAM: [(&str, &str); 2] = [
    ("Healthcheck", "checks the program that the base starts"),
    ("OnBuild", "would run commands at build time"),
];

/// Merges. Environment, labels, ports and volumes of the base stay; user, directory and what is started are ours. The
/// second value is what its owner should know.
pub(super) fn merge(
    mut config: ImageConfig,
    runtime: Runtime,
    worker: Option<&str>,
) -> Result<(ImageConfig, Vec<String>), ForeignError> {
    let mut warnings = Vec::new();
    let container = &mut config.config;
    if let Some(volume) = hiding_volume(container) {
        return Err(ForeignError::Volume(volume));
    }
    for (member, what) in OF_THE_BASES_PROGRAM {
        let removed = container.other.remove(member);
        if removed.is_some_and(|value| !matches!(&value, Value::Null) && value != json!([])) {
            warnings.push(format!("the base's {} is left out: it {what}", member.to_uppercase()));
        }
    }
    // The shim ends in order on SIGTERM, whatever signal the base's program wants.
    container.other.remove("StopSignal");
    container.user = Some(format!("{CONTAINER_UID}:{CONTAINER_UID}"));
    container.working_dir = Some(CODE_DIRECTORY.to_owned());
    container.entrypoint = vec![SHIM_PATH.to_owned()];
    container.cmd.clear();
    container.exposed_ports.insert(format!("{DEFAULT_PORT}/tcp"), json!({}));
    let language = runtime.language();
    let unset = |container: &ContainerConfig, name: &str| container.env_value(name).is_none();
    let mut defaults = vec![("PATH", DEFAULT_PATH), ("HOME", "/home/app")];
    if language == Language::Python {
        defaults.push(("PYTHONDONTWRITEBYTECODE", "1"));
    }
    for (name, value) in defaults {
        if unset(container, name) {
            container.set_env(name, value);
        }
    }
    container.set_env(ZIPSHIP_LANGUAGE, language.name());
    match worker {
        Some(worker) => container.set_env(ZIPSHIP_WORKER, worker),
        None => container.env.retain(|entry| !entry.starts_with(&format!("{ZIPSHIP_WORKER}="))),
    }
    warnings.extend(other_version(container, runtime));
    config.history.push(History {
        created: config.created.clone(),
        created_by: Some("zipship build: shim and workers".to_owned()),
        ..History::default()
    });
    Ok((config, warnings))
}

/// A volume at the function's directory or above it; the root itself is none.
fn hiding_volume(container: &ContainerConfig) -> Option<String> {
    let volumes = container.other.get("Volumes")?.as_object()?;
    let hides = |volume: &&String| {
        let volume = volume.trim_end_matches('/');
        !volume.is_empty()
            && CODE_DIRECTORY
                .strip_prefix(volume)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    volumes.keys().find(hides).cloned()
}

/// Official images say their version in a variable; that of another line than the runtime's is worth a word.
fn other_version(container: &ContainerConfig, runtime: Runtime) -> Option<String> {
    let name = match runtime.language() {
        Language::Node => "NODE_VERSION",
        Language::Python => "PYTHON_VERSION",
        Language::Golang => return None,
    };
    let version = container.env_value(name)?;
    let line = runtime.line();
    let rest = version.strip_prefix(&*line);
    let same = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    (!same).then(|| format!("the runtime is {}, but the base says {name}={version}", runtime.base()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(container: &Value) -> ImageConfig {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": container,
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn what_the_base_sets_stays_and_the_shim_is_what_starts() {
        let base = config(&json!({
            "User": "nobody", "WorkingDir": "/srv", "Entrypoint": ["/entry"], "Cmd": ["run"],
            "Env": ["PATH=/opt/bin:/bin", "A=1"], "Labels": {"team": "a"}, "ExposedPorts": {"9000/tcp": {}},
            "StopSignal": "SIGQUIT", "Volumes": {"/data": {}},
        }));
        let (merged, warnings) = merge(base, Runtime::Node22, Some("[\"node\"]")).unwrap();
        let container = merged.config;
        assert_eq!(
            container.env,
            [
                "PATH=/opt/bin:/bin",
                "A=1",
                "HOME=/home/app",
                "ZIPSHIP_LANGUAGE=node",
                "ZIPSHIP_WORKER=[\"node\"]"
            ]
        );
        assert_eq!(container.user.as_deref(), Some("1000:1000"));
        assert_eq!(container.working_dir.as_deref(), Some("/home/app/function"));
        assert_eq!((container.entrypoint, container.cmd.len()), (vec![SHIM_PATH.to_owned()], 0));
        assert_eq!(container.labels["team"], "a");
        assert_eq!(container.exposed_ports.keys().collect::<Vec<_>>(), ["8080/tcp", "9000/tcp"]);
        assert_eq!(container.other.keys().collect::<Vec<_>>(), ["Volumes"]);
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_stay_is_told() {
        let base = config(&json!({
            "Healthcheck": {"Test": ["CMD", "x"]}, "OnBuild": ["RUN x"], "Env": ["PYTHON_VERSION=3.12.1"],
        }));
        let (_, warnings) = merge(base, Runtime::Python313, None).unwrap();
        assert_eq!(
            warnings,
            [
                "the base's HEALTHCHECK is left out: it checks the program that the base starts",
                "the base's ONBUILD is left out: it would run commands at build time",
                "the runtime is python313, but the base says PYTHON_VERSION=3.12.1",
            ]
        );
        for volume in ["/home/app/function", "/home/app/", "/home"] {
            let base = config(&json!({"Volumes": {volume: {}}}));
            assert!(matches!(merge(base, Runtime::Golang, None), Err(ForeignError::Volume(_))), "{volume}");
        }
        for fine in ["/", "/home/application", "/home/app/function/cache"] {
            assert!(merge(config(&json!({"Volumes": {fine: {}}})), Runtime::Golang, None).is_ok(), "{fine}");
        }
    }
}
