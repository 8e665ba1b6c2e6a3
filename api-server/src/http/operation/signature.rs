//! What a handler's own signature says about its operation: nobody writes it down a second time, so it can't be wrong.

use axum::{
    Json,
    extract::{Path, Request, State},
    response::Response,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::super::{
    HttpError,
    auth::{Caller, Id},
    json::Body,
    origin::Origin,
    page::Pairs,
};
use crate::AppState;

/// Makes the schema of a type, where `SchemaGenerator` keeps what others refer to.
pub(in crate::http) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// A body, of a request or of an answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) enum Content {
    /// JSON of this schema.
    Json(MakeSchema),
    /// Bytes as they are.
    Bytes,
}

/// What a signature says.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Signature {
    /// An API key has to be shown, and the region has to exist.
    pub(in crate::http) key: bool,
    /// The path names a resource.
    pub(in crate::http) id: bool,
    /// The query is looked at.
    pub(in crate::http) query: bool,
    /// What is sent.
    pub(in crate::http) body: Option<Content>,
    /// What is answered.
    pub(in crate::http) answer: Content,
}

/// An argument of a handler.
pub(in crate::http) trait Argument {
    /// Adds what it stands for.
    fn tell(_: &mut Signature) {}
}

impl Argument for State<AppState> {}
impl Argument for Origin {}
impl Argument for Path<String> {}

impl Argument for Caller {
    fn tell(signature: &mut Signature) {
        signature.key = true;
    }
}

impl Argument for Id {
    fn tell(signature: &mut Signature) {
        signature.id = true;
    }
}

impl Argument for Pairs {
    fn tell(signature: &mut Signature) {
        signature.query = true;
    }
}

impl<T: JsonSchema> Argument for Body<T> {
    fn tell(signature: &mut Signature) {
        signature.body = Some(Content::Json(SchemaGenerator::subschema_for::<T>));
    }
}

/// The whole request: its body is taken as it comes.
impl Argument for Request {
    fn tell(signature: &mut Signature) {
        signature.body = Some(Content::Bytes);
    }
}

/// What a handler answers when all is well.
pub(in crate::http) trait Answer {
    const CONTENT: Content;
}

impl<T: JsonSchema> Answer for Json<T> {
    const CONTENT: Content = Content::Json(SchemaGenerator::subschema_for::<T>);
}

impl Answer for Response {
    const CONTENT: Content = Content::Bytes;
}

/// A handler whose signature is known.
pub(in crate::http) trait Described<Arguments> {
    /// What it says.
    fn signature() -> Signature;
}

macro_rules! described {
    ($($argument:ident)+) => {
        impl<F, R, T, $($argument),+> Described<($($argument,)+)> for F
        where
            F: Fn($($argument),+) -> R,
            R: Future<Output = Result<T, HttpError>>,
            T: Answer,
            $($argument: Argument),+
        {
            fn signature() -> Signature {
                let mut signature =
                    Signature { key: false, id: false, query: false, body: None, answer: T::CONTENT };
                $($argument::tell(&mut signature);)+
                signature
            }
        }
    };
}

described!(A);
described!(A B);
described!(A B C);
described!(A B C D);
described!(A B C D E);
described!(A B C D E G);
