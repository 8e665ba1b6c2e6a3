//! Which bucket, and with what right.

use std::{fmt, str::FromStr};

use reqwest::Url;
use secrecy::SecretString;

use super::BucketError;

/// The region where none is named.
pub const DEFAULT_REGION: &str = "us-east-1";

/// `s3://BUCKET/PREFIX`: a part of a bucket that is one server's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPlace {
    /// The bucket's name.
    pub(super) name: String,
    /// What all names of objects begin with: empty, or with a `/` at its end.
    pub(super) prefix: String,
}

/// How a bucket is reached.
#[derive(Debug, Clone, Default)]
pub struct BucketAccess {
    /// Where it is; without it AWS, in the region. At an endpoint buckets are named in paths.
    pub endpoint: Option<Url>,
    /// Its region; without it [`DEFAULT_REGION`].
    pub region: Option<String>,
    /// Whose right it is.
    pub access_key_id: Option<String>,
    /// What proves it.
    pub secret_access_key: Option<SecretString>,
}

/// Why a text names no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BucketPlaceError {
    /// Not of this form.
    #[error("it is to be like s3://BUCKET/PREFIX")]
    Form,
    /// Letters that would be written one way here and another way there.
    #[error(
        "a bucket's name and a prefix are made of letters, digits, - _ . and, between parts of a prefix, /"
    )]
    Letters,
}

impl FromStr for BucketPlace {
    type Err = BucketPlaceError;

    fn from_str(text: &str) -> Result<Self, BucketPlaceError> {
        let path = text.strip_prefix("s3://").ok_or(BucketPlaceError::Form)?;
        let mut parts = path.trim_end_matches('/').split('/');
        let name = parts.next().filter(|name| !name.is_empty()).ok_or(BucketPlaceError::Form)?;
        let is_plain = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            part.bytes().all(plain) && !["", ".", ".."].contains(&part)
        };
        let parts: Vec<_> = parts.collect();
        if !is_plain(name) || !parts.iter().all(|part| is_plain(part)) {
            return Err(BucketPlaceError::Letters);
        }
        let prefix = parts.iter().map(|part| format!("{part}/")).collect();
        Ok(Self { name: name.to_owned(), prefix })
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "s3://{}/{}", self.name, self.prefix)
    }
}

impl BucketAccess {
    /// The bucket's addresses, and the key.
    pub(super) fn of(
        &self,
        place: &BucketPlace,
    ) -> Result<(rusty_s3::Bucket, rusty_s3::Credentials), BucketError> {
        use secrecy::ExposeSecret as _;
        let (Some(id), Some(secret)) = (&self.access_key_id, &self.secret_access_key) else {
            return Err(BucketError::NoKey(place.clone()));
        };
        let region = self.region.as_deref().unwrap_or(DEFAULT_REGION);
        let (endpoint, style) = match &self.endpoint {
            Some(endpoint) => (endpoint.clone(), rusty_s3::UrlStyle::Path),
            None => {
                // A certificate of *.s3.… is good for names without a dot only.
                let style = if place.name.contains('.') {
                    rusty_s3::UrlStyle::Path
                } else {
                    rusty_s3::UrlStyle::VirtualHost
                };
                let url = format!("https://s3.{region}.amazonaws.com");
                (url.parse().map_err(|_| BucketError::Setup(format!("{region:?} is no region")))?, style)
            }
        };
        let bucket = rusty_s3::Bucket::new(endpoint, style, place.name.clone(), region.to_owned()).map_err(
            |error| BucketError::Setup(format!("the endpoint of {place} cannot be used: {error}")),
        )?;
        Ok((bucket, rusty_s3::Credentials::new(id.clone(), secret.expose_secret().to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_in_one_way() {
        let read = |text: &str| text.parse::<BucketPlace>().map(|place| place.to_string());
        assert_eq!(read("s3://b").unwrap(), "s3://b/");
        assert_eq!(read("s3://b/").unwrap(), "s3://b/");
        assert_eq!(read("s3://my.bucket/a/b_c-1").unwrap(), "s3://my.bucket/a/b_c-1/");
        for text in ["", "b", "http://b/", "s3://", "s3:///p"] {
            assert_eq!(read(text), Err(BucketPlaceError::Form), "{text}");
        }
        for text in ["s3://b//p", "s3://b/../p", "s3://b/a b", "s3://b/%41", "s3://b?x", "s3://b/é"] {
            assert_eq!(read(text), Err(BucketPlaceError::Letters), "{text}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let access = BucketAccess {
            access_key_id: Some("id".into()),
            secret_access_key: Some("marker".into()),
            ..BucketAccess::default()
        };
        let (bucket, credentials) = access.of(&"s3://b/p".parse().unwrap()).unwrap();
        assert_eq!(bucket.base_url().as_str(), "https://b.s3.us-east-1.amazonaws.com/");
        assert!(!format!("{access:?} {bucket:?} {credentials:?}").contains("marker"));
        let keyless = BucketAccess { access_key_id: None, ..access };
        assert!(matches!(keyless.of(&"s3://b".parse().unwrap()), Err(BucketError::NoKey(_))));
    }
}
