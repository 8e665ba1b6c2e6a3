//! What the server is told at start.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use builder::zip::ArchiveLimits;
use contract::limits::{ApiLimits, Quotas};
use gateway::Scheme;
use oci::client::Guard;

use crate::{
    archives::{BucketAccess, BucketPlace},
    deploy::ForeignImages,
    logs::LogLimits,
    rate::Rates,
    store::{Database, DatabaseUrl},
};

/// Configuration of the API, its store and its archives.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the one listener binds; stands in for the host in URLs when a request names none.
    pub listen: SocketAddr,
    /// What URLs in answers start with, without a trailing slash; else `scheme` and the request's `Host`.
    pub public_url: Option<String>,
    /// How the one listener is reached.
    pub scheme: Scheme,
    /// Regions that exist.
    pub regions: Vec<String>,
    /// Data directory: database, key file, archives.
    pub data: PathBuf,
    /// A PostgreSQL database in place of the data directory's own.
    pub database_url: Option<DatabaseUrl>,
    /// A bucket for archives in place of the data directory.
    pub bucket: Option<BucketPlace>,
    /// How that bucket is reached.
    pub bucket_access: BucketAccess,
    /// Limits, each named in its refusal.
    pub limits: ApiLimits,
    /// How many of each an organization may have in a region.
    pub quotas: Quotas,
    /// How many requests are answered.
    pub rates: Rates,
    /// How much an archive may be.
    pub archive_limits: ArchiveLimits,
    /// Most bytes that the images of one namespace may take in the registry together; `None`: no limit.
    pub registry_quota: Option<u64>,
    /// How much of what applications say is kept.
    pub log_limits: LogLimits,
    /// Images of other registries for containers; `None`: there are none.
    pub foreign_images: Option<ForeignImages>,
    /// How long a presigned URL is good for.
    pub presigned_life: Duration,
    /// How long a request waits for a namespace that is still being made.
    pub namespace_wait: Duration,
}

impl Config {
    /// Defaults over a data directory: port 8080 on loopback, regions `fr-par` and `nl-ams`.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            scheme: Scheme::Http,
            regions: vec!["fr-par".into(), "nl-ams".into()],
            data,
            database_url: None,
            bucket: None,
            bucket_access: BucketAccess::default(),
            limits: ApiLimits::default(),
            quotas: Quotas::default(),
            rates: Rates::default(),
            archive_limits: ArchiveLimits::default(),
            registry_quota: None,
            log_limits: LogLimits::default(),
            foreign_images: Some(ForeignImages::guarded_by(Guard::new(Vec::new()))),
            presigned_life: Duration::from_secs(3600),
            namespace_wait: Duration::from_secs(10),
        }
    }

    /// Where the store lies.
    #[must_use]
    pub fn database(&self) -> Database {
        match &self.database_url {
            Some(url) => Database::Postgres(url.clone()),
            None => Database::Sqlite(self.data.join("zipship.db")),
        }
    }

    /// The file with the key that seals what is stored.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.data.join("secret.key")
    }

    /// The file in which the first API key is kept for the operator.
    #[must_use]
    pub fn first_key_file(&self) -> PathBuf {
        self.data.join("credentials.json")
    }

    /// Where logs of applications lie.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// Where uploaded archives lie, when they are not in a bucket.
    #[must_use]
    pub fn archives(&self) -> PathBuf {
        self.data.join("archives")
    }
}
