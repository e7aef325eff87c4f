-- What the live topics are held against the declared choreography with. A replica of the version before this one may
-- still file events beside it: what it filed is looked up in event before anything is found missing.

-- +goose Up
-- One row per subject: which numbers of each source were seen, and what is doubted.
CREATE TABLE conformance (
    subject text COLLATE "C" PRIMARY KEY,
    tracks  jsonb       NOT NULL,
    doubts  jsonb       NOT NULL,
    due_at  timestamptz                                -- when the next doubt becomes a finding
) WITH (fillfactor = 80);
CREATE INDEX conformance_due ON conformance (due_at) WHERE due_at IS NOT NULL;

-- Where the reading of a partition began: what is missing may be older than the topics keep.
CREATE TABLE reading_start (
    partition_key text COLLATE "C" PRIMARY KEY,        -- topic/partition
    first_offset  bigint      NOT NULL,
    first_time    timestamptz NOT NULL
);

-- Events that broke a rule. cleared_at: what was missing came after all. told_at: counted and logged.
CREATE TABLE finding (
    event_id   uuid,
    rule       text        NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    detail     text        NOT NULL,
    found_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_at timestamptz,
    told_at    timestamptz,
    PRIMARY KEY (event_id, rule)
);
CREATE INDEX finding_subject ON finding (subject);
CREATE INDEX finding_open ON finding (rule, found_at) WHERE cleared_at IS NULL;
CREATE INDEX finding_untold ON finding (found_at) WHERE told_at IS NULL;

-- +goose Down
DROP TABLE finding, reading_start, conformance;
