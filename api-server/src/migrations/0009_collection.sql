-- `collected`: when the image was taken out of the registry, of a revision and of a deploy that failed.
ALTER TABLE revisions ADD COLUMN collected BIGINT;
ALTER TABLE deploys ADD COLUMN collected BIGINT;
CREATE INDEX uploads_expires ON uploads (expires);
