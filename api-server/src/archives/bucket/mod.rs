//! Archives in a bucket of S3, or of anything that speaks its protocol.
//!
//! A presigned `PUT` is the bucket's: method, object, length and expiry are in its signature, and the bucket shows an
//! object when it is whole only. This server is not told that one ended. So it looks when it matters, and copies what
//! it found to a name that no URL was ever given for ([`super::ArchiveStore::settle`]): what is put later, also
//! through the same URL, is another upload.

mod config;
mod error;
mod exchange;
mod objects;

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use rusty_s3::S3Action as _;
use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _};

pub use config::{BucketAccess, BucketPlace, BucketPlaceError, DEFAULT_REGION};
pub use error::BucketError;
pub use objects::Uploaded;

use crate::store::hex;

/// How often a body is read anew that broke off.
const ATTEMPTS: u32 = 3;

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    place: BucketPlace,
    bucket: rusty_s3::Bucket,
    credentials: rusty_s3::Credentials,
    http: reqwest::Client,
}

impl Bucket {
    /// A bucket; nobody is asked yet.
    ///
    /// # Errors
    /// [`BucketError::NoKey`], [`BucketError::Setup`].
    pub fn new(place: BucketPlace, access: &BucketAccess) -> Result<Self, BucketError> {
        let (bucket, credentials) = access.of(&place)?;
        let http = exchange::client(bucket.base_url())?;
        Ok(Self(Arc::new(Parts { place, bucket, credentials, http })))
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &BucketPlace {
        &self.0.place
    }

    /// Does once what is done later: lists, puts, gets, removes.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn check(&self) -> Result<(), BucketError> {
        self.uploads(Some("none")).await?;
        let object = format!("{}check", self.0.place.prefix);
        let put = self.0.bucket.put_object(Some(&self.0.credentials), &object);
        self.send(&object, || self.request(put.clone(), &[]).body("zipship\n")).await?;
        let get = self.0.bucket.get_object(Some(&self.0.credentials), &object);
        self.text(self.send(&object, || self.request(get.clone(), &[])).await?).await?;
        self.delete(&object).await
    }

    /// A URL for a `PUT` of exactly `bytes` bytes. The length is a header that is signed: S3 refuses another one, and a
    /// body that is not as long.
    #[must_use]
    pub fn put_url(&self, function_id: &str, upload_id: &str, bytes: u64, life: Duration) -> String {
        let object = self.upload(function_id, upload_id);
        let mut put = self.0.bucket.put_object(Some(&self.0.credentials), &object);
        put.headers_mut().insert("content-length", bytes.to_string());
        put.sign(life).into()
    }

    /// A URL for a `GET` of an archive.
    #[must_use]
    pub fn get_url(&self, key: &str, life: Duration) -> String {
        self.0.bucket.get_object(Some(&self.0.credentials), &self.archive(key)).sign(life).into()
    }

    /// SHA-256 of an archive of so many bytes, in hexadecimal.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn digest(&self, key: &str, bytes: u64) -> Result<String, BucketError> {
        whole(|| self.hash(key, bytes)).await
    }

    async fn hash(&self, key: &str, bytes: u64) -> Result<String, BucketError> {
        let mut body = self.read(key, bytes).await?;
        let mut hasher = Sha256::new();
        while let Some(piece) = body.next().await? {
            hasher.update(piece);
        }
        Ok(hex(&hasher.finalize()))
    }

    /// Gives an upload, as it was when it was listed, the name of an archive.
    ///
    /// # Errors
    /// [`BucketError::Changed`] and [`BucketError::Missing`] when it is not what it was; [`BucketError`].
    pub async fn copy(&self, upload: &Uploaded, key: &str) -> Result<(), BucketError> {
        let (from, to) = (self.upload(&upload.function_id, &upload.upload_id), self.archive(key));
        let source = format!("/{}/{from}", self.0.place.name);
        let put = self.0.bucket.put_object(Some(&self.0.credentials), &to);
        let headers =
            [("x-amz-copy-source", source.as_str()), ("x-amz-copy-source-if-match", upload.etag.as_str())];
        let copy = || self.request(put.clone(), &headers).header("content-length", 0);
        let answer = self.text(self.send(&from, copy).await?).await?;
        // S3 answers 200 before it knows how the copy ends.
        if answer.contains("CopyObjectResult") {
            return Ok(());
        }
        Err(self.unavailable(exchange::within(&answer, "Code").unwrap_or("a copy without a result")))
    }

    /// Writes an archive of so many bytes to a new file.
    ///
    /// # Errors
    /// [`BucketError`]; a file that is not whole may be there.
    pub async fn download(&self, key: &str, bytes: u64, path: &Path) -> Result<(), BucketError> {
        whole(|| self.write(key, bytes, path)).await
    }

    async fn write(&self, key: &str, bytes: u64, path: &Path) -> Result<(), BucketError> {
        let mut body = self.read(key, bytes).await?;
        let mut file = File::create(path).await?;
        while let Some(piece) = body.next().await? {
            file.write_all(&piece).await?;
        }
        Ok(file.flush().await?)
    }

    /// Removes an archive; one that is not there is no error.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn remove(&self, key: &str) -> Result<(), BucketError> {
        self.delete(&self.archive(key)).await
    }

    /// Removes what came through a presigned URL, whatever it is by now.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn remove_upload(&self, upload: &Uploaded) -> Result<(), BucketError> {
        self.delete(&self.upload(&upload.function_id, &upload.upload_id)).await
    }

    async fn delete(&self, object: &str) -> Result<(), BucketError> {
        let delete = self.0.bucket.delete_object(Some(&self.0.credentials), object);
        match self.send(object, || self.request(delete.clone(), &[])).await {
            Ok(_) | Err(BucketError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, key: &str, bytes: u64) -> Result<Body<'_>, BucketError> {
        let object = self.archive(key);
        let get = self.0.bucket.get_object(Some(&self.0.credentials), &object);
        let response = self.send(&object, || self.request(get.clone(), &[])).await?;
        Ok(Body { bucket: self, object, response, bytes, found: 0 })
    }
}

/// An object's bytes, as many as there are to be.
struct Body<'a> {
    bucket: &'a Bucket,
    object: String,
    response: reqwest::Response,
    bytes: u64,
    found: u64,
}

impl Body<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, BucketError> {
        let piece = self.response.chunk().await;
        let piece = piece.map_err(|error| self.bucket.broken(exchange::cause(error)))?;
        self.found += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let is_wrong = if piece.is_some() { self.found > self.bytes } else { self.found != self.bytes };
        if is_wrong {
            let Self { object, bytes, found, .. } = self;
            return Err(self.bucket.broken(format!("{object} is to have {bytes} bytes, not {found}")));
        }
        Ok(piece)
    }
}

/// Does it again when a body broke off.
async fn whole<T, F: Future<Output = Result<T, BucketError>>>(
    read: impl Fn() -> F,
) -> Result<T, BucketError> {
    let mut attempt = 1;
    loop {
        match read().await {
            Err(BucketError::Broken { .. }) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}
