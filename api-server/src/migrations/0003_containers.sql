-- Functions and containers are applications: what deploys, revisions and routes are of. Of a container `runtime` and
-- `handler` are empty and there is no archive; `registry_image` is the image's name without the registry's host.
ALTER TABLE functions RENAME TO applications;
ALTER TABLE applications ADD COLUMN kind TEXT NOT NULL DEFAULT 'function';
ALTER TABLE applications ADD COLUMN registry_image TEXT;
DROP INDEX functions_name;
CREATE UNIQUE INDEX applications_name ON applications (namespace_id, kind, name);
DROP INDEX functions_created;
CREATE INDEX applications_created ON applications (created, id);

ALTER TABLE revisions RENAME COLUMN function_id TO application_id;
ALTER TABLE deploys RENAME COLUMN function_id TO application_id;

-- The archive of a deploy may be absent now.
ALTER TABLE deploys RENAME COLUMN archive_key TO old_key;
ALTER TABLE deploys RENAME COLUMN archive_bytes TO old_bytes;
ALTER TABLE deploys RENAME COLUMN archive_digest TO old_digest;
ALTER TABLE deploys ADD COLUMN archive_key TEXT;
ALTER TABLE deploys ADD COLUMN archive_bytes BIGINT;
ALTER TABLE deploys ADD COLUMN archive_digest TEXT;
UPDATE deploys SET archive_key = old_key, archive_bytes = old_bytes, archive_digest = old_digest;
ALTER TABLE deploys DROP COLUMN old_key;
ALTER TABLE deploys DROP COLUMN old_bytes;
ALTER TABLE deploys DROP COLUMN old_digest;
