//! What goes wrong with a bucket. No text here has a URL in it: those of objects are signed.

use super::BucketPlace;

/// Why something could not be had from a bucket, or put there.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// Nobody answers, or says that it is too busy, also when asked again.
    #[error("the bucket {place} does not answer now: {cause}")]
    Unavailable {
        /// Which bucket.
        place: BucketPlace,
        /// What happened.
        cause: String,
    },
    /// An answer's body broke off, or one was not what was asked for.
    #[error("an answer of the bucket {place} is not whole: {cause}")]
    Broken {
        /// Which bucket.
        place: BucketPlace,
        /// What happened.
        cause: String,
    },
    /// It does not let this server do what it has to.
    #[error("the bucket {place} refuses this server's request ({code}): {}", advice(code))]
    Refused {
        /// Which bucket.
        place: BucketPlace,
        /// Its own word for the reason.
        code: String,
    },
    /// There is no such object.
    #[error("{object} is not in the bucket {place}")]
    Missing {
        /// Which bucket.
        place: BucketPlace,
        /// The object's name.
        object: String,
    },
    /// The object is another one by now.
    #[error("the object was replaced meanwhile")]
    Changed,
    /// Uploads of one function that replace each other again and again.
    #[error(
        "uploads of function {0} replace each other faster than they can be taken; ask again when they have ended"
    )]
    Restless(String),
    /// There is no key for it.
    #[error(
        "for {0} a key is needed: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3-access-key-id and s3-secret-access-key-file"
    )]
    NoKey(BucketPlace),
    /// The file that it was to be written to.
    #[error("an archive cannot be kept: {0}")]
    File(#[from] std::io::Error),
    /// A setting that cannot be used.
    #[error("{0}")]
    Setup(String),
}

impl BucketError {
    /// Whether the same may succeed when nothing is changed but the time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Broken { .. } | Self::Changed | Self::Restless(_))
    }
}

/// What an operator does about a refusal.
fn advice(code: &str) -> &'static str {
    match code {
        "NoSuchBucket" => "there is no bucket of this name; make it, or name another one with archives",
        // The second is versitygw's.
        "InvalidAccessKeyId" | "XAdminUserNotFound" => {
            "the key's id is not known there; look at AWS_ACCESS_KEY_ID or s3-access-key-id, and at s3-endpoint"
        }
        "SignatureDoesNotMatch" => {
            "the secret is not that of the key's id; look at AWS_SECRET_ACCESS_KEY or s3-secret-access-key"
        }
        "AccessDenied" | "Forbidden" => {
            "the key has to be allowed to list the bucket, and to get, put and delete objects below the prefix"
        }
        "AuthorizationHeaderMalformed"
        | "AuthorizationQueryParametersError"
        | "PermanentRedirect"
        | "IllegalLocationConstraintException" => {
            "it is in another region; look at s3-region and s3-endpoint"
        }
        "RequestTimeTooSkewed" => "this machine's clock or the bucket's is wrong",
        _ => "look at archives, s3-endpoint and s3-region",
    }
}
