-- What a function or container used on a day, which begins at `created` (UTC). A row stays when its application goes,
-- and so carries what is told of it.
CREATE TABLE usage_days (
    id TEXT PRIMARY KEY,
    application_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    region TEXT NOT NULL,
    namespace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    invocations BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    cold_starts BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    memory_mb_ms BIGINT NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (application_id, created)
);
CREATE INDEX usage_days_created ON usage_days (organization_id, region, created, id);

-- The server asks each second which applications an operator has locked.
CREATE INDEX applications_state ON applications (state);
