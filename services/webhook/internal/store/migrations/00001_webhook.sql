-- Endpoints, what is sent to them, and what became of it.

-- +goose Up
CREATE TABLE endpoint (
    id               uuid PRIMARY KEY,            -- UUIDv7: in the order in which they were made
    url              text        NOT NULL,
    description      text        NOT NULL,
    events           text[]      NOT NULL,
    state            text        NOT NULL CONSTRAINT endpoint_state CHECK (state IN ('ENABLED', 'DISABLED', 'DELETED')),
    reason           text        NOT NULL DEFAULT '',
    disabled_at      timestamptz,
    -- Secrets are kept as they are: a signature cannot be made of a hash.
    secret           text        NOT NULL,
    old_secret       text        NOT NULL DEFAULT '',
    old_secret_until timestamptz,
    subscribed_at    timestamptz NOT NULL,
    failing_since    timestamptz,                 -- the first failure after the last success
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT endpoint_enabled_has_no_reason CHECK ((state = 'ENABLED') <= (reason = '' AND disabled_at IS NULL))
) WITH (fillfactor = 70);

-- An event that somebody wanted, as it is sent.
CREATE TABLE fact (
    event_id    uuid PRIMARY KEY,
    type        text        NOT NULL,
    subject     text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    body        bytea       NOT NULL
);
CREATE INDEX fact_recorded_at ON fact (recorded_at);

-- One fact on its way to one endpoint. The primary key is what recognises an event that is read twice.
CREATE TABLE delivery (
    endpoint_id   uuid        NOT NULL,
    event_id      uuid        NOT NULL,
    state         smallint    NOT NULL DEFAULT 0, -- 0 pending, 1 delivered, 2 given up
    attempts      integer     NOT NULL DEFAULT 0, -- whose end is known
    due_at        timestamptz NOT NULL,           -- while claimed: when the claim ends
    give_up_at    timestamptz NOT NULL,
    claim         bigint      NOT NULL DEFAULT 0, -- counts claims: an attempt whose claim is over moves nothing
    claimed_until timestamptz,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (endpoint_id, event_id)
) WITH (fillfactor = 80);
CREATE INDEX delivery_due ON delivery (endpoint_id, due_at) WHERE state = 0;
CREATE INDEX delivery_give_up ON delivery (give_up_at) WHERE state = 0;
CREATE INDEX delivery_given_up ON delivery (endpoint_id, created_at) WHERE state = 2;
CREATE INDEX delivery_created_at ON delivery (created_at);

-- The log: one row per attempt, written with what became of its delivery.
CREATE TABLE attempt (
    id          uuid PRIMARY KEY,                 -- UUIDv7
    endpoint_id uuid        NOT NULL,
    event_id    uuid        NOT NULL,
    number      integer     NOT NULL,             -- of this delivery, from 1
    at          timestamptz NOT NULL,
    millis      integer     NOT NULL,
    status      integer,                          -- of the answer; NULL without one
    outcome     text        NOT NULL,
    error       text        NOT NULL DEFAULT '',
    next_at     timestamptz
);
CREATE INDEX attempt_endpoint ON attempt (endpoint_id, id);
CREATE INDEX attempt_delivery ON attempt (endpoint_id, event_id, number);
CREATE INDEX attempt_at ON attempt (at);

-- +goose Down
DROP TABLE attempt, delivery, fact, endpoint;
