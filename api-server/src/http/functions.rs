//! What functions alone have: code for a runtime.

use contract::{
    api::{ArgumentReason, CreateFunction, Function, Functions, UpdateFunction},
    limits::{Quotas, cpu_of_memory},
    runtime::{Handler, Runtime},
};

use super::{
    applications::{Asked, Wire},
    arguments::Arguments,
    namespaces,
    origin::Origin,
};
use crate::store::{Code, FunctionRow, StoreError};

/// What a body says; `None` was not said.
#[derive(Clone)]
pub(super) struct Said {
    runtime: Option<String>,
    handler: Option<String>,
}

impl Wire for Code {
    type Create = CreateFunction;
    type Update = UpdateFunction;
    type Answer = Function;
    type Page = Functions;
    type Said = Said;

    fn quota(quotas: &Quotas) -> u64 {
        quotas.functions
    }

    fn check_name(body: &mut Arguments, name: &str) {
        namespaces::check_name(body, name);
    }

    async fn take(body: &mut Arguments, _: &Asked<'_>) -> Result<Said, StoreError> {
        let said = Said {
            runtime: body.text("runtime").filter(|runtime| !runtime.is_empty()).map(answered),
            handler: body.text("handler").filter(|handler| !handler.is_empty()),
        };
        if let Some(runtime) = &said.runtime
            && Runtime::from_name(runtime).is_none()
        {
            let help = format!("{runtime:?} is not one of {}", Runtime::names().join(", "));
            body.refuse("runtime", ArgumentReason::Unknown, help);
        }
        Ok(said)
    }

    fn initial(said: &Said) -> Self {
        let runtime = said.runtime.clone().unwrap_or_else(|| Runtime::DEFAULT.base().to_owned());
        let language = Runtime::from_name(&runtime).unwrap_or(Runtime::DEFAULT).language();
        Self { runtime, handler: language.default_handler().to_owned() }
    }

    fn over(said: Said, was: Self, body: &mut Arguments) -> Self {
        let program = Self {
            runtime: said.runtime.unwrap_or(was.runtime),
            handler: said.handler.unwrap_or(was.handler),
        };
        if let Some(runtime) = Runtime::from_name(&program.runtime)
            && let Err(error) = Handler::parse(runtime.language(), &program.handler)
        {
            body.refuse_constraint("handler", error.to_string());
        }
        program
    }

    fn answer(row: FunctionRow, origin: &Origin) -> Function {
        Function {
            endpoint: origin.endpoint(&row.id),
            environment_variables: row.settings.environment.expose().clone(),
            cpu_limit: cpu_of_memory(row.settings.memory_mb).unwrap_or_default(),
            id: row.id,
            name: row.name,
            namespace_id: row.namespace_id,
            status: row.state,
            min_scale: row.settings.min_scale,
            max_scale: row.settings.max_scale,
            runtime: row.program.runtime,
            memory_limit: row.settings.memory_mb,
            timeout: row.settings.timeout_ms,
            handler: row.program.handler,
            error_message: row.error_message,
            privacy: row.settings.privacy,
            description: row.settings.description,
            region: row.region,
        }
    }

    fn page(functions: Vec<Function>, total_count: u64) -> Functions {
        Functions { functions, total_count }
    }
}

/// `python2` is the document's `python`, and answered so.
fn answered(runtime: String) -> String {
    if runtime == "python2" { "python".to_owned() } else { runtime }
}
