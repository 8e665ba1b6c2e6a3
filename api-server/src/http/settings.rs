//! The fields that functions and containers share: taken, checked, laid over what was.

use contract::{
    api::Privacy,
    limits::{
        ApiLimits, DEFAULT_MAX_SCALE, DEFAULT_MEMORY_MB, DEFAULT_MIN_SCALE, DEFAULT_TIMEOUT_MS,
        MEMORY_TO_CPU, cpu_of_memory,
    },
};

use super::{arguments::Arguments, environment};
use crate::{secrets::SecretMap, store::Settings};

/// What a body says; `None` was not said.
#[derive(Clone)]
pub(super) struct SaidSettings {
    description: Option<String>,
    environment: Option<SecretMap>,
    memory_mb: Option<u32>,
    timeout_ms: Option<u64>,
    min_scale: Option<u32>,
    max_scale: Option<u32>,
    max_concurrency: Option<u32>,
    privacy: Option<Privacy>,
}

impl SaidSettings {
    /// Takes the fields; problems stay in `body`.
    pub(super) fn take(body: &mut Arguments, limits: &ApiLimits) -> Self {
        let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
        let most = u64::from(limits.max_scale);
        let said = Self {
            description: body.text("description"),
            environment: environment::take(body, limits),
            memory_mb: small(body.number("memory_limit", " of MB", 0..=u64::from(u32::MAX))),
            timeout_ms: body.number("timeout", " of milliseconds", 1..=limits.timeout_ms),
            min_scale: small(body.number("min_scale", "", 0..=most)),
            max_scale: small(body.number("max_scale", "", 1..=most)),
            max_concurrency: small(body.number("max_concurrency", "", 1..=u64::from(limits.max_concurrency))),
            privacy: body
                .named("privacy", "unknown, public, private")
                .filter(|privacy| *privacy != Privacy::Unknown),
        };
        if let Some(memory) = said.memory_mb
            && cpu_of_memory(memory).is_none()
        {
            let allowed = MEMORY_TO_CPU.map(|(memory, _)| memory.to_string()).join(", ");
            body.refuse_constraint("memory_limit", format!("{memory} MB is not one of {allowed}"));
        }
        said
    }

    /// These fields over what was; what does not go together is noted in `body`.
    pub(super) fn over(self, was: Settings, body: &mut Arguments) -> Settings {
        let named_max = self.max_scale.is_some() && self.min_scale.is_none();
        let settings = Settings {
            description: self.description.or(was.description),
            environment: self.environment.unwrap_or(was.environment),
            memory_mb: self.memory_mb.unwrap_or(was.memory_mb),
            timeout_ms: self.timeout_ms.unwrap_or(was.timeout_ms),
            min_scale: self.min_scale.unwrap_or(was.min_scale),
            max_scale: self.max_scale.unwrap_or(was.max_scale),
            max_concurrency: self.max_concurrency.or(was.max_concurrency),
            privacy: self.privacy.unwrap_or(was.privacy),
        };
        if settings.min_scale > settings.max_scale {
            let name = if named_max { "max_scale" } else { "min_scale" };
            let help = format!("min_scale {} is above max_scale {}", settings.min_scale, settings.max_scale);
            body.refuse_constraint(name, help);
        }
        settings
    }
}

/// Settings of an application that names none.
pub(super) fn defaults() -> Settings {
    Settings {
        description: None,
        environment: SecretMap::default(),
        memory_mb: DEFAULT_MEMORY_MB,
        timeout_ms: DEFAULT_TIMEOUT_MS,
        min_scale: DEFAULT_MIN_SCALE,
        max_scale: DEFAULT_MAX_SCALE,
        max_concurrency: None,
        privacy: Privacy::Public,
    }
}

/// Whether a change asks for a deploy when nobody says and a version is live: scale and description never do.
pub(super) fn changes_what_runs(was: &Settings, now: &Settings) -> bool {
    was.environment != now.environment
        || was.memory_mb != now.memory_mb
        || was.timeout_ms != now.timeout_ms
        || was.privacy != now.privacy
        || was.max_concurrency != now.max_concurrency
}

/// Whether the gateway has to learn another scale.
pub(super) fn rescales(was: &Settings, now: &Settings) -> bool {
    (was.min_scale, was.max_scale) != (now.min_scale, now.max_scale)
}
