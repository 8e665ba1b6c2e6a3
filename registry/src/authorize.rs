//! Who may do what. The registry knows no users: its embedder decides.

use std::io;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use futures_util::future::BoxFuture;
use oci::Digest;

use crate::Registry;
use crate::error::Refusal;

/// What a request wants of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read blobs, manifests and tags; be mounted from.
    Pull,
    /// Upload, mount into, tag and delete.
    Push,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Nobody known: answered 401 with a challenge.
    Unauthenticated,
    /// Somebody known who may not: answered 403.
    Forbidden,
}

/// Decides about requests.
pub trait Authorize: Send + Sync + 'static {
    /// Whether whoever sent `credentials` (the whole `Authorization` header) may do this to the repository.
    ///
    /// The empty repository with [`Action::Pull`] is the specification's version check (`GET /v2/`), by
    /// which clients find out whether they must authenticate: it should be allowed to whom any repository is.
    fn authorize<'a>(
        &'a self,
        credentials: Option<&'a str>,
        repository: &'a str,
        action: Action,
    ) -> BoxFuture<'a, Result<(), Denied>>;

    /// How many bytes the repositories whose names have the same first component may hold together; `None`: no limit.
    fn quota(&self, _repository: &str) -> Option<u64> {
        None
    }

    /// Why a manifest may not be deleted: what still runs it, for people. `None`: it may.
    fn in_use<'a>(
        &'a self,
        _repository: &'a str,
        _digest: &'a Digest,
    ) -> BoxFuture<'a, io::Result<Option<String>>> {
        Box::pin(async { Ok(None) })
    }
}

impl Registry {
    /// Asks the authorizer about a request with these headers.
    pub(crate) async fn check(
        &self,
        headers: &HeaderMap,
        repository: &str,
        action: Action,
    ) -> Result<(), Refusal> {
        let credentials = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match self.authorize.authorize(credentials, repository, action).await {
            Ok(()) => Ok(()),
            Err(Denied::Unauthenticated) => Err(Refusal::unauthorized()),
            Err(Denied::Forbidden) => Err(Refusal::denied(repository)),
        }
    }
}
