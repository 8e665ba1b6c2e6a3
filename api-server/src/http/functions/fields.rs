//! The fields that create and update share: taken, checked, laid over what was.

use contract::{
    api::{ArgumentReason, Privacy},
    limits::{
        ApiLimits, DEFAULT_MAX_SCALE, DEFAULT_MEMORY_MB, DEFAULT_MIN_SCALE, DEFAULT_TIMEOUT_MS,
        MEMORY_TO_CPU, cpu_of_memory,
    },
    runtime::{Handler, Runtime},
};

use super::super::{arguments::Arguments, environment};
use crate::{secrets::SecretMap, store::FunctionUpdate};

/// What a body says; `None` was not said.
pub(super) struct Fields {
    description: Option<String>,
    environment: Option<SecretMap>,
    runtime: Option<String>,
    handler: Option<String>,
    memory_mb: Option<u32>,
    timeout_ms: Option<u64>,
    min_scale: Option<u32>,
    max_scale: Option<u32>,
    max_concurrency: Option<u32>,
    privacy: Option<Privacy>,
}

impl Fields {
    /// Takes the fields; problems stay in `body`.
    pub(super) fn take(body: &mut Arguments, limits: &ApiLimits) -> Self {
        let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
        let most = u64::from(limits.max_scale);
        let fields = Self {
            description: body.text("description"),
            environment: environment::take(body, limits),
            runtime: body.text("runtime").filter(|runtime| !runtime.is_empty()).map(answered),
            handler: body.text("handler").filter(|handler| !handler.is_empty()),
            memory_mb: small(body.number("memory_limit", " of MB", 0..=u64::from(u32::MAX))),
            timeout_ms: body.number("timeout", " of milliseconds", 1..=limits.timeout_ms),
            min_scale: small(body.number("min_scale", "", 0..=most)),
            max_scale: small(body.number("max_scale", "", 1..=most)),
            max_concurrency: small(body.number("max_concurrency", "", 1..=u64::from(limits.max_concurrency))),
            privacy: body
                .named("privacy", "unknown, public, private")
                .filter(|privacy| *privacy != Privacy::Unknown),
        };
        fields.check(body);
        fields
    }

    fn check(&self, body: &mut Arguments) {
        if let Some(runtime) = &self.runtime
            && Runtime::from_name(runtime).is_none()
        {
            let help = format!("{runtime:?} is not one of {}", Runtime::names().join(", "));
            body.refuse("runtime", ArgumentReason::Unknown, help);
        }
        if let Some(memory) = self.memory_mb
            && cpu_of_memory(memory).is_none()
        {
            let allowed = MEMORY_TO_CPU.map(|(memory, _)| memory.to_string()).join(", ");
            body.refuse_constraint("memory_limit", format!("{memory} MB is not one of {allowed}"));
        }
    }

    /// These fields over the defaults of a new function.
    pub(super) fn over_defaults(self, body: &mut Arguments) -> FunctionUpdate {
        let runtime = self.runtime.clone().unwrap_or_else(|| Runtime::DEFAULT.base().to_owned());
        let language = Runtime::from_name(&runtime).unwrap_or(Runtime::DEFAULT).language();
        let defaults = FunctionUpdate {
            description: None,
            environment: SecretMap::default(),
            runtime,
            handler: language.default_handler().to_owned(),
            memory_mb: DEFAULT_MEMORY_MB,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            min_scale: DEFAULT_MIN_SCALE,
            max_scale: DEFAULT_MAX_SCALE,
            max_concurrency: None,
            privacy: Privacy::Public,
        };
        self.over(defaults, body)
    }

    /// These fields over what was; what does not go together is noted in `body`.
    pub(super) fn over(self, was: FunctionUpdate, body: &mut Arguments) -> FunctionUpdate {
        let named_max = self.max_scale.is_some() && self.min_scale.is_none();
        let fields = FunctionUpdate {
            description: self.description.or(was.description),
            environment: self.environment.unwrap_or(was.environment),
            runtime: self.runtime.unwrap_or(was.runtime),
            handler: self.handler.unwrap_or(was.handler),
            memory_mb: self.memory_mb.unwrap_or(was.memory_mb),
            timeout_ms: self.timeout_ms.unwrap_or(was.timeout_ms),
            min_scale: self.min_scale.unwrap_or(was.min_scale),
            max_scale: self.max_scale.unwrap_or(was.max_scale),
            max_concurrency: self.max_concurrency.or(was.max_concurrency),
            privacy: self.privacy.unwrap_or(was.privacy),
        };
        if fields.min_scale > fields.max_scale {
            let name = if named_max { "max_scale" } else { "min_scale" };
            let help = format!("min_scale {} is above max_scale {}", fields.min_scale, fields.max_scale);
            body.refuse_constraint(name, help);
        }
        if let Some(runtime) = Runtime::from_name(&fields.runtime)
            && let Err(error) = Handler::parse(runtime.language(), &fields.handler)
        {
            body.refuse_constraint("handler", error.to_string());
        }
        fields
    }
}

/// `python2` is the document's `python`, and answered so.
fn answered(runtime: String) -> String {
    if runtime == "python2" { "python".to_owned() } else { runtime }
}

/// Whether a change asks for a deploy when nobody says: a version is live, and something of it changed.
pub(super) fn changes_what_runs(was: &FunctionUpdate, now: &FunctionUpdate) -> bool {
    was.environment != now.environment
        || was.memory_mb != now.memory_mb
        || was.timeout_ms != now.timeout_ms
        || was.handler != now.handler
        || was.runtime != now.runtime
        || was.privacy != now.privacy
        || was.max_concurrency != now.max_concurrency
}
