-- The read model. Ids that are sorted in Go are in byte order here too (COLLATE "C").

-- +goose Up
-- Every event as it came. The event id is the key: a repeated event finds its row and changes nothing, so this
-- database has no inbox.
CREATE TABLE event (
    id          uuid PRIMARY KEY,
    subject     text COLLATE "C" NOT NULL,             -- order id, or product id
    position    bigint GENERATED ALWAYS AS IDENTITY,   -- order of arrival; taken under the subject's lock
    type        text        NOT NULL,
    service     text        NOT NULL,
    sequence    bigint      NOT NULL,
    occurred_at timestamptz NOT NULL,
    causation   text        NOT NULL,
    command     text        NOT NULL,
    correlation text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    kafka_offset bigint     NOT NULL,
    payload     bytea       NOT NULL
);
CREATE INDEX event_subject ON event (subject, position);

-- One line per order for the operators' list, folded from its events.
CREATE TABLE order_line (
    order_id    text COLLATE "C" PRIMARY KEY,
    user_id     text        NOT NULL,
    seen        bigint      NOT NULL,
    status      text        NOT NULL,
    step        text        NOT NULL,
    reason      text        NOT NULL,
    has_coupons boolean     NOT NULL,
    undo_from   integer     NOT NULL,
    amount      bigint      NOT NULL,
    currency    text        NOT NULL,
    last_event  text        NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
) WITH (fillfactor = 80);
-- What waits is few, what is done is many: the second index stays small however many orders there were. (Order ids
-- are UUIDv7, so newest first is the primary key backwards.)
CREATE INDEX order_line_waiting ON order_line (status, order_id) WHERE status IN ('PENDING', 'CANCELLING');

-- Who changed what through /ops, with the reason given. status is NULL while the request is under way, and stays so
-- if the process ended before the answer.
CREATE TABLE audit (
    id         uuid PRIMARY KEY,                       -- UUIDv7
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    operator   text        NOT NULL,
    method     text        NOT NULL,
    path       text        NOT NULL,
    reason     text        NOT NULL,
    request_id text        NOT NULL,
    status     integer
);

-- +goose Down
DROP TABLE audit, order_line, event;
