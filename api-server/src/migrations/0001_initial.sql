-- Times are milliseconds since the Unix epoch. Ids are UUIDs v4 as text. `environment` and `private_key` are
-- ciphertext, bound to their row (see secrets/seal.rs). The text is read by SQLite and by PostgreSQL.

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    created BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    hash TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);

-- Outlives its namespace: images stay when a namespace goes.
CREATE TABLE registry_namespaces (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    region TEXT NOT NULL,
    slug TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX registry_namespaces_slug ON registry_namespaces (slug);

CREATE TABLE namespaces (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    environment BYTEA NOT NULL,
    state TEXT NOT NULL,
    error_message TEXT NOT NULL,
    registry_namespace_id TEXT NOT NULL REFERENCES registry_namespaces (id),
    public_key TEXT,
    private_key BYTEA,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX namespaces_name ON namespaces (organization_id, region, name);

CREATE TABLE functions (
    id TEXT PRIMARY KEY,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id),
    name TEXT NOT NULL,
    description TEXT,
    environment BYTEA NOT NULL,
    state TEXT NOT NULL,
    error_message TEXT NOT NULL,
    runtime TEXT NOT NULL,
    handler TEXT NOT NULL,
    memory_mb BIGINT NOT NULL,
    timeout_ms BIGINT NOT NULL,
    min_scale BIGINT NOT NULL,
    max_scale BIGINT NOT NULL,
    max_concurrency BIGINT,
    privacy TEXT NOT NULL,
    archive_key TEXT,
    archive_bytes BIGINT,
    archive_digest TEXT,
    live_revision TEXT,
    last_version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX functions_name ON functions (namespace_id, name);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    function_id TEXT NOT NULL REFERENCES functions (id),
    bytes BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL,
    completed BIGINT,
    archive_key TEXT
);
CREATE INDEX uploads_function ON uploads (function_id);

-- Immutable. A revision whose deploy ends in error is deleted, so versions have no gaps.
CREATE TABLE revisions (
    id TEXT PRIMARY KEY,
    function_id TEXT NOT NULL REFERENCES functions (id),
    version BIGINT NOT NULL,
    config TEXT NOT NULL,
    environment BYTEA NOT NULL,
    image_reference TEXT NOT NULL,
    image_digest TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX revisions_version ON revisions (function_id, version);

CREATE TABLE deploys (
    id TEXT PRIMARY KEY,
    function_id TEXT NOT NULL REFERENCES functions (id),
    generation BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    config TEXT NOT NULL,
    environment BYTEA NOT NULL,
    repository TEXT NOT NULL,
    archive_key TEXT NOT NULL,
    archive_bytes BIGINT NOT NULL,
    archive_digest TEXT NOT NULL,
    image_digest TEXT,
    revision_id TEXT,
    nonce TEXT NOT NULL,
    error TEXT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE UNIQUE INDEX deploys_generation ON deploys (function_id, generation);
CREATE INDEX deploys_state ON deploys (state);

CREATE TABLE deploy_steps (
    deploy_id TEXT NOT NULL REFERENCES deploys (id),
    attempt BIGINT NOT NULL,
    step TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    outcome TEXT
);
CREATE INDEX deploy_steps_deploy ON deploy_steps (deploy_id);
