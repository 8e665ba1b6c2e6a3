//! Where a server keeps archives: in its data directory, or in a bucket.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use api_server::archives::{Bucket, BucketAccess, BucketPlace};
use clap::Args;
use reqwest::Url;
use secrecy::SecretString;

use crate::configuration::secret;

/// Where archives are.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArguments {
    /// Keep archives in a bucket of S3, or of what speaks its protocol, not in the data directory. Bucket and prefix are
    /// this server's alone; clients upload there, past the server.
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    pub(crate) archives: Option<BucketPlace>,
    /// Where that bucket is, for this server and for clients; buckets are then named in paths [default: AWS].
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<Url>,
    /// The bucket's region [default: us-east-1].
    #[arg(long, value_name = "NAME")]
    s3_region: Option<String>,
    /// The id of a key that may list the bucket, and get, put and delete objects below the prefix.
    #[arg(long, value_name = "ID")]
    s3_access_key_id: Option<String>,
    /// The key's secret. On the command line everybody on the machine can read it: it belongs in the environment or in a
    /// file.
    #[arg(long, value_parser = secret, value_name = "SECRET")]
    s3_secret_access_key: Option<SecretString>,
    /// A file with the key's secret; read by root.
    #[arg(long, conflicts_with = "s3_secret_access_key", value_name = "FILE")]
    s3_secret_access_key_file: Option<PathBuf>,
}

impl ArchiveArguments {
    /// How the bucket is reached.
    pub(crate) fn access(&self) -> anyhow::Result<BucketAccess> {
        let secret_access_key = match (&self.s3_secret_access_key, &self.s3_secret_access_key_file) {
            (Some(secret), _) => Some(secret.clone()),
            (None, Some(file)) => {
                let text = fs::read_to_string(file)
                    .with_context(|| format!("reading the bucket's secret from {}", file.display()))?;
                Some(SecretString::from(text.trim_end_matches(['\r', '\n'])))
            }
            (None, None) => None,
        };
        Ok(BucketAccess {
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            access_key_id: self.s3_access_key_id.clone(),
            secret_access_key,
        })
    }

    /// Refuses a bucket that cannot be reached whatever it answers.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(place) = &self.archives {
            Bucket::new(place.clone(), &self.access()?)?;
        }
        Ok(())
    }
}
