-- The engine's own tables, the same in every service. Ids are text in byte order (COLLATE "C"), so that
-- ORDER BY here and sorting in Go agree, and every replica takes its locks in the same order.

-- +goose Up
-- One row per order (or product, or member) the service has to do with: the lock that everything about
-- it takes first. One cannot lock what does not exist yet; this row exists from the first touch on.
CREATE TABLE subject (
    id      text COLLATE "C" PRIMARY KEY,
    emitted integer NOT NULL DEFAULT 0,        -- ce_sequence of the last event emitted about it
    parked  boolean NOT NULL DEFAULT false,    -- its events queue up in parked_event
    root    text NOT NULL DEFAULT '',          -- ce_correlationid: the first event of its chain
    trace   text NOT NULL DEFAULT ''           -- traceparent of what touched it first: deadlines bring none of their own
) WITH (fillfactor = 80);

-- How far each partition is dealt with. The row is locked by whoever works on the partition, so two
-- owners of a partition take turns, and the second finds its records below next_offset.
CREATE TABLE fence (
    topic_id    uuid    NOT NULL,              -- a topic made anew is another one
    partition   integer NOT NULL,
    topic       text    NOT NULL,
    next_offset bigint  NOT NULL,
    PRIMARY KEY (topic_id, partition)
) WITH (fillfactor = 50);

-- Which events were dealt with. By the day in ce_time, which a republished event keeps; days are
-- dropped whole. What fits no day goes to the default partition.
CREATE TABLE inbox (
    day      date NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (day, event_id)
) PARTITION BY RANGE (day);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;

-- Answers of commands by idempotency key.
CREATE TABLE command (
    member     text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL,
    id         text        NOT NULL,           -- ce_commandid
    body_hash  bytea       NOT NULL,
    answer     bytea       NOT NULL,           -- JSON: status and body, or the refusal
    created_at timestamptz NOT NULL,
    PRIMARY KEY (member, key)
);
CREATE INDEX command_created_at ON command USING brin (created_at);

-- Calls to the world outside: what may have been sent, under which key, and when to try again.
CREATE TABLE call (
    subject     text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    body        bytea       NOT NULL,
    state       smallint    NOT NULL DEFAULT 0, -- 0 pending, 1 answered, 2 withdrawn
    attempts    integer     NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,           -- while claimed: when the claim ends
    cause       text        NOT NULL,           -- the event that opened this wait
    root        text        NOT NULL,
    traceparent text        NOT NULL,
    last_error  text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (subject, kind)
) WITH (fillfactor = 70);
CREATE INDEX call_due ON call (due_at) WHERE state = 0;

-- One row per parked subject: what went wrong first, and when it is tried again.
CREATE TABLE failure (
    subject      text COLLATE "C" PRIMARY KEY,
    event_id     text        NOT NULL,
    event_type   text        NOT NULL,
    fingerprint  text        NOT NULL,
    error        text        NOT NULL,
    retries      integer     NOT NULL DEFAULT 0,
    failed_at    timestamptz NOT NULL,
    retried_at   timestamptz,
    next_retry_at timestamptz                   -- NULL: a person has to look
);

-- The events of a parked subject, in the order in which they are to be handled.
CREATE TABLE parked_event (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject    text COLLATE "C" NOT NULL REFERENCES failure (subject),
    topic      text    NOT NULL,
    partition  integer NOT NULL,
    kafka_offset bigint NOT NULL,
    headers    jsonb   NOT NULL,               -- as they came: [[key, base64], ...]
    payload    bytea,
    parked_at  timestamptz NOT NULL
);
CREATE INDEX parked_event_subject ON parked_event (subject, id);

-- Who was told of what, so that OPERATORS hear of a group once an hour and not once an order.
CREATE TABLE notice (
    group_key text PRIMARY KEY,
    sent_at   timestamptz NOT NULL
);

-- +goose Down
DROP TABLE notice, parked_event, failure, call, command, inbox, fence, subject;
