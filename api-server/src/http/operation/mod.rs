//! An operation of the API, declared once: the router and the description are both made of it, so a route without a
//! description can't be.

mod parameter;
mod signature;

use axum::{
    handler::Handler,
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;

pub(super) use parameter::Parameter;
pub(super) use signature::{Content, Described, Signature};

use crate::{AppState, Config};

/// A method, as HTTP and as the router name it.
pub(super) type Verb = (Method, MethodFilter);
pub(super) const GET: Verb = (Method::GET, MethodFilter::GET);
pub(super) const POST: Verb = (Method::POST, MethodFilter::POST);
pub(super) const PUT: Verb = (Method::PUT, MethodFilter::PUT);
pub(super) const PATCH: Verb = (Method::PATCH, MethodFilter::PATCH);
pub(super) const DELETE: Verb = (Method::DELETE, MethodFilter::DELETE);

/// Operations of one kind of resource.
pub(super) struct Group {
    /// Its name in the description.
    pub(super) name: &'static str,
    /// What their paths begin with.
    pub(super) base: &'static str,
    /// The operations.
    pub(super) operations: Vec<Operation>,
}

/// One operation.
pub(super) struct Operation {
    /// Method.
    pub(super) method: Method,
    /// Template of the path below the group's base. What names a resource ends in `_id`, after the kind of it.
    pub(super) path: &'static str,
    /// Its name in the description, `createFunction`.
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) says: &'static str,
    /// What its handler's signature says.
    pub(super) signature: Signature,
    /// Keys of the query that it understands.
    pub(super) query: fn(&Config) -> Vec<Parameter>,
    /// Types of errors that its method and names don't tell.
    pub(super) refuses: &'static [&'static str],
    /// What runs.
    pub(super) route: MethodRouter<AppState>,
}

impl Operation {
    /// An operation: what is not told here is in the handler's signature.
    pub(super) fn new<H, X, A>(
        (method, filter): Verb,
        path: &'static str,
        name: &'static str,
        says: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<X, AppState> + Described<A>,
        X: 'static,
    {
        Self {
            method,
            path,
            name,
            says,
            signature: H::signature(),
            query: |_| Vec::new(),
            refuses: &[],
            route: on(filter, handler),
        }
    }

    /// The keys of the query.
    pub(super) fn query(self, query: fn(&Config) -> Vec<Parameter>) -> Self {
        Self { query, ..self }
    }

    /// Types of errors that its method and names don't tell.
    pub(super) fn refuses(self, refuses: &'static [&'static str]) -> Self {
        Self { refuses, ..self }
    }
}
