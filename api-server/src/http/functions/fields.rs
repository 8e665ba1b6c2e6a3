//! The fields that create and update share.

use contract::{
    api::ArgumentReason,
    limits::ApiLimits,
    runtime::{Handler, Runtime},
};

use super::super::{
    arguments::Arguments,
    settings::{self, SaidSettings},
};
use crate::store::{Code, Fields};

/// What a body says; `None` was not said.
pub(super) struct Said {
    settings: SaidSettings,
    runtime: Option<String>,
    handler: Option<String>,
}

impl Said {
    /// Takes the fields; problems stay in `body`.
    pub(super) fn take(body: &mut Arguments, limits: &ApiLimits) -> Self {
        let said = Self {
            settings: SaidSettings::take(body, limits),
            runtime: body.text("runtime").filter(|runtime| !runtime.is_empty()).map(answered),
            handler: body.text("handler").filter(|handler| !handler.is_empty()),
        };
        if let Some(runtime) = &said.runtime
            && Runtime::from_name(runtime).is_none()
        {
            let help = format!("{runtime:?} is not one of {}", Runtime::names().join(", "));
            body.refuse("runtime", ArgumentReason::Unknown, help);
        }
        said
    }

    /// These fields over the defaults of a new function.
    pub(super) fn over_defaults(self, body: &mut Arguments) -> Fields<Code> {
        let runtime = self.runtime.clone().unwrap_or_else(|| Runtime::DEFAULT.base().to_owned());
        let language = Runtime::from_name(&runtime).unwrap_or(Runtime::DEFAULT).language();
        let code = Code { runtime, handler: language.default_handler().to_owned() };
        self.over(Fields { settings: settings::defaults(), program: code }, body)
    }

    /// These fields over what was; what does not go together is noted in `body`.
    pub(super) fn over(self, was: Fields<Code>, body: &mut Arguments) -> Fields<Code> {
        let program = Code {
            runtime: self.runtime.unwrap_or(was.program.runtime),
            handler: self.handler.unwrap_or(was.program.handler),
        };
        if let Some(runtime) = Runtime::from_name(&program.runtime)
            && let Err(error) = Handler::parse(runtime.language(), &program.handler)
        {
            body.refuse_constraint("handler", error.to_string());
        }
        Fields { settings: self.settings.over(was.settings, body), program }
    }
}

/// `python2` is the document's `python`, and answered so.
fn answered(runtime: String) -> String {
    if runtime == "python2" { "python".to_owned() } else { runtime }
}
