//! Which objects there are. Below the prefix `archives/<key>.zip` is what the disk has under the same name, and
//! `uploads/<function>/<upload>.zip` what came through a presigned URL.

use rusty_s3::actions::ListObjectsV2;

use super::{super::Kept, Bucket, BucketError};

const ARCHIVES: &str = "archives/";
const UPLOADS: &str = "uploads/";
const ZIP: &str = ".zip";

/// What came through a presigned URL, as it was when the bucket was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The function it is for.
    pub function_id: String,
    /// The upload whose URL it was.
    pub upload_id: String,
    /// When it was put there, by the bucket's clock, in milliseconds since the Unix epoch.
    pub modified: i64,
    /// Its size.
    pub bytes: u64,
    /// What the bucket calls this content.
    pub(super) etag: String,
}

impl Uploaded {
    /// Another text after each `PUT`, but for the same content within the same second.
    #[must_use]
    pub fn version(&self) -> String {
        format!("{} {}", self.modified, self.etag)
    }
}

struct Listed {
    name: String,
    etag: String,
    modified: i64,
    bytes: u64,
}

impl Bucket {
    /// The object's name of an archive.
    pub(super) fn archive(&self, key: &str) -> String {
        format!("{}{ARCHIVES}{key}{ZIP}", self.0.place.prefix)
    }

    /// The object's name of an upload.
    pub(super) fn upload(&self, function_id: &str, upload_id: &str) -> String {
        format!("{}{UPLOADS}{function_id}/{upload_id}{ZIP}", self.0.place.prefix)
    }

    /// All archives.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn archives(&self) -> Result<Vec<Kept>, BucketError> {
        let listed = self.list(ARCHIVES).await?.into_iter();
        let kept = listed.filter_map(|Listed { name, modified: since, bytes, .. }| {
            let key = name.strip_suffix(ZIP).filter(|key| !key.contains('/'))?.to_owned();
            Some(Kept { key, since, bytes })
        });
        Ok(kept.collect())
    }

    /// All uploads, of one function or of all.
    ///
    /// # Errors
    /// [`BucketError`].
    pub async fn uploads(&self, function_id: Option<&str>) -> Result<Vec<Uploaded>, BucketError> {
        let below = function_id.map_or_else(String::new, |id| format!("{id}/"));
        let listed = self.list(&format!("{UPLOADS}{below}")).await?.into_iter();
        let uploads = listed.filter_map(|Listed { name, etag, modified, bytes }| {
            let (function_id, name) = match function_id {
                Some(id) => (id, name.as_str()),
                None => name.split_once('/')?,
            };
            let upload_id = name.strip_suffix(ZIP)?.to_owned();
            Some(Uploaded { function_id: function_id.to_owned(), upload_id, modified, bytes, etag })
        });
        Ok(uploads.collect())
    }

    /// What is below `below`; names without it.
    async fn list(&self, below: &str) -> Result<Vec<Listed>, BucketError> {
        let prefix = format!("{}{below}", self.0.place.prefix);
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = || {
                let mut action = self.0.bucket.list_objects_v2(Some(&self.0.credentials));
                action.with_prefix(prefix.as_str());
                if let Some(token) = &token {
                    action.with_continuation_token(token.as_str());
                }
                self.request(action, &[])
            };
            let text = self.text(self.send("a list", page).await?).await?;
            let page = ListObjectsV2::parse_response(&text)
                .map_err(|error| self.broken(format!("a list of objects: {error}")))?;
            for object in page.contents {
                found.extend(object.key.strip_prefix(&prefix).and_then(|name| {
                    let modified: jiff::Timestamp = object.last_modified.as_deref()?.parse().ok()?;
                    let etag = object.etag.as_deref()?.trim_matches('"');
                    Some(Listed {
                        name: name.to_owned(),
                        etag: format!("\"{etag}\""),
                        modified: modified.as_millisecond(),
                        bytes: object.size?,
                    })
                }));
            }
            match page.next_continuation_token {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => return Ok(found),
            }
        }
    }
}
