-- A cron belongs to a function or container, `application_id`, and to the namespace of that. `last_run` is the tick of
-- its last call, `last_skipped` the last tick without one; what is not after both is never called again.
CREATE TABLE crons (
    id TEXT PRIMARY KEY,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id),
    application_id TEXT NOT NULL,
    schedule TEXT NOT NULL,
    args TEXT NOT NULL,
    state TEXT NOT NULL,
    last_run BIGINT,
    last_skipped BIGINT,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX crons_created ON crons (created, id);
CREATE INDEX crons_application ON crons (application_id);
CREATE INDEX crons_namespace ON crons (namespace_id);

CREATE TABLE cron_runs (
    cron_id TEXT NOT NULL REFERENCES crons (id),
    tick BIGINT NOT NULL,
    state TEXT NOT NULL,
    started BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    ended BIGINT,
    status_code BIGINT,
    request_id TEXT NOT NULL,
    error_message TEXT NOT NULL,
    PRIMARY KEY (cron_id, tick)
);
CREATE INDEX cron_runs_state ON cron_runs (state);
