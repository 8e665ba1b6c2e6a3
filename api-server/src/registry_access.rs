//! Who may do what in the embedded registry: an API key as password reaches its organization's repositories, and may
//! read the runtimes' bases; the server itself, by a credential that lives as long as the process, reaches all.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::BoxFuture;
use oci::Digest;
use registry::{Action, Authorize, Denied};
use subtle::ConstantTimeEq as _;

use crate::store::{Running, Store, hash_key, new_id};

/// User of the server's own credential.
const SERVICE_USER: &str = "zipship-service";

/// Decides over the registry's requests.
pub struct RegistryAccess {
    store: Store,
    service_password: String,
    quota: Option<u64>,
}

/// Below this first component are the runtimes' bases.
pub(crate) const BASES: &str = "base";

impl RegistryAccess {
    /// With a new service credential; a namespace's repositories may hold `quota` bytes together.
    #[must_use]
    pub fn new(store: Store, quota: Option<u64>) -> Self {
        Self { store, service_password: new_id(), quota }
    }

    /// User and password with which the server itself may do everything.
    #[must_use]
    pub fn service_credential(&self) -> (&str, &str) {
        (SERVICE_USER, &self.service_password)
    }

    async fn decide(
        &self,
        credentials: Option<&str>,
        repository: &str,
        action: Action,
    ) -> Result<(), Denied> {
        let (user, password) = credentials.and_then(basic).ok_or(Denied::Unauthenticated)?;
        if user == SERVICE_USER && self.is_service(&password) {
            return Ok(());
        }
        let known = self.store.organization_of_key(&password).await;
        let organization = known
            .inspect_err(|error| tracing::error!(%error, "a registry credential could not be looked up"))
            .unwrap_or_default()
            .ok_or(Denied::Unauthenticated)?;
        if repository.is_empty() {
            return Ok(());
        }
        // A repository directly under the root belongs to nobody.
        let (slug, _) = repository.split_once('/').ok_or(Denied::Forbidden)?;
        if slug == BASES && action == Action::Pull {
            return Ok(());
        }
        match self.store.owns_slug(&organization, slug).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Denied::Forbidden),
            Err(error) => {
                tracing::error!(%error, "the owner of a repository could not be looked up");
                Err(Denied::Forbidden)
            }
        }
    }

    fn is_service(&self, password: &str) -> bool {
        // Over the hashes, which are of equal length.
        hash_key(password).as_bytes().ct_eq(hash_key(&self.service_password).as_bytes()).into()
    }
}

impl Authorize for RegistryAccess {
    fn authorize<'a>(
        &'a self,
        credentials: Option<&'a str>,
        repository: &'a str,
        action: Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(self.decide(credentials, repository, action))
    }

    fn quota(&self, repository: &str) -> Option<u64> {
        let bases = repository.split('/').next() == Some(BASES);
        self.quota.filter(|_| !bases)
    }

    fn in_use<'a>(
        &'a self,
        repository: &'a str,
        digest: &'a Digest,
    ) -> BoxFuture<'a, std::io::Result<Option<String>>> {
        Box::pin(async move {
            let running = self.store.running(repository, digest.as_str()).await;
            let running = running.map_err(std::io::Error::other)?;
            Ok(running
                .map(|Running { kind, name, version }| format!("{kind} {name} runs it as version {version}")))
        })
    }
}

/// The password that an `Authorization` header shows.
pub(crate) fn password(header: &str) -> Option<String> {
    basic(header).map(|(_, password)| password)
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
