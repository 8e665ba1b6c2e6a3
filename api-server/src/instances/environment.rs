//! The environment of an instance: the user's variables, and over them the platform's.

use std::collections::BTreeMap;

use contract::{
    api::Privacy,
    environment::{
        DEFAULT_PORT, PORT, SCW_APPLICATION_ID, SCW_APPLICATION_MEMORY, SCW_APPLICATION_NAME,
        SCW_APPLICATION_VERSION, SCW_HANDLER, SCW_MAX_CONCURRENCY, SCW_NAMESPACE_ID, SCW_PUBLIC,
        SCW_PUBLIC_KEY, SCW_TIMEOUT_MS,
    },
    instance::Control,
};

use crate::{
    secrets::SecretMap,
    store::{Launch, deploys::Program},
};

/// The control document of an instance of this revision.
pub(super) fn control(launch: &Launch) -> Control {
    let (revision, config) = (&launch.revision, &launch.revision.config);
    let public = config.privacy != Privacy::Private;
    let platform = [
        (SCW_PUBLIC, public.to_string()),
        (SCW_PUBLIC_KEY, launch.public_key.clone()),
        (SCW_NAMESPACE_ID, launch.namespace_id.clone()),
        (SCW_APPLICATION_ID, revision.application_id.clone()),
        (SCW_APPLICATION_NAME, config.name.clone()),
        (SCW_APPLICATION_MEMORY, config.memory_mb.to_string()),
        (SCW_APPLICATION_VERSION, revision.version.to_string()),
        (SCW_TIMEOUT_MS, config.timeout_ms.to_string()),
    ];
    let own = match &config.program {
        Program::Code(code) => (SCW_HANDLER, code.handler.clone()),
        Program::Image { .. } => (PORT, DEFAULT_PORT.to_string()),
    };
    let concurrency = config.max_concurrency.map(|most| (SCW_MAX_CONCURRENCY, most.to_string()));
    let mut environment: BTreeMap<String, String> = launch.environment.expose().clone();
    environment.extend(
        platform.into_iter().chain([own]).chain(concurrency).map(|(name, value)| (name.to_owned(), value)),
    );
    Control { environment }
}

/// Values of so many bytes and more are told by nobody but the code that has them: shorter ones are part of any text.
const SECRET_BYTES: usize = 8;

/// What code said as it failed, without the values of its variables: it goes into the server's log and into the store.
/// Where it was cut off at its begin that may be within a value.
pub(super) fn without_values(mut text: String, environment: &SecretMap) -> String {
    let long = environment.expose().values().filter(|value| value.len() >= SECRET_BYTES);
    let quoted = long.clone().map(|value| serde_json::Value::from(value.as_str()).to_string());
    let mut values: Vec<_> =
        quoted.map(|quoted| quoted[1..quoted.len() - 1].to_owned()).chain(long.cloned()).collect();
    // The longest first: one may be part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    for value in values {
        if text.contains(&value) {
            text = text.replace(&value, "***");
        }
        let ends = (1..=value.len().saturating_sub(SECRET_BYTES)).filter_map(|from| value.get(from..));
        if let Some(rest) = ends.filter_map(|end| text.strip_prefix(end)).next() {
            text = format!("***{rest}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Code, Revision, deploys::ApplicationConfig};

    fn launch(program: Program) -> Launch {
        let config = ApplicationConfig {
            name: "hello".into(),
            namespace_id: "n".into(),
            memory_mb: 128,
            timeout_ms: 5000,
            min_scale: 0,
            max_scale: 20,
            max_concurrency: Some(3),
            privacy: Privacy::Private,
            program,
        };
        let revision = Revision {
            id: "r".into(),
            application_id: "f".into(),
            version: 7,
            config,
            image_reference: "ns/hello".into(),
            image_digest: "sha256:00".into(),
            created: 0,
        };
        let user =
            BTreeMap::from([("A".to_owned(), "1".to_owned()), ("SCW_PUBLIC".to_owned(), "true".to_owned())]);
        Launch {
            revision,
            environment: SecretMap::from(user),
            namespace_id: "n".into(),
            public_key: "PEM".into(),
        }
    }

    #[test]
    fn a_container_is_told_its_port_and_what_its_tokens_are_checked_with() {
        let environment = control(&launch(Program::Image { image: "ns/c:latest".into() })).environment;
        assert_eq!(environment["PORT"], "8080");
        assert_eq!(
            (environment["SCW_PUBLIC"].as_str(), environment["SCW_PUBLIC_KEY"].as_str()),
            ("false", "PEM")
        );
        assert!(!environment.contains_key("SCW_HANDLER"));
    }

    #[test]
    fn the_platforms_variables_win_over_the_users() {
        let code = Code { runtime: "node10".into(), handler: "handler.handle".into() };
        let environment = control(&launch(Program::Code(code))).environment;
        let expected = [
            ("A", "1"),
            ("SCW_APPLICATION_ID", "f"),
            ("SCW_APPLICATION_MEMORY", "128"),
            ("SCW_APPLICATION_NAME", "hello"),
            ("SCW_APPLICATION_VERSION", "7"),
            ("SCW_HANDLER", "handler.handle"),
            ("SCW_MAX_CONCURRENCY", "3"),
            ("SCW_NAMESPACE_ID", "n"),
            ("SCW_PUBLIC", "false"),
            ("SCW_PUBLIC_KEY", "PEM"),
            ("SCW_TIMEOUT_MS", "5000"),
        ];
        let found: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }
    #[test]
    fn values_are_not_repeated_in_what_code_said() {
        let environment = [
            ("URL", "db://u:hunter22@h"),
            ("PASSWORD", "hunter22"),
            ("JSON", r#"{"a": "secret"}"#),
            ("SHORT", "yes"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = SecretMap::from(BTreeMap::from(environment));
        for (said, told) in [
            ("no db://u:hunter22@h, hunter22", "no ***, ***"),
            (r#"{"a": "secret"} or "{\"a\": \"secret\"}""#, r#"*** or "***""#),
            ("yes, hunter2", "yes, hunter2"),
            (":hunter22@h was cut off", "*** was cut off"),
        ] {
            assert_eq!(without_values(said.to_owned(), &environment), told);
        }
    }
}
