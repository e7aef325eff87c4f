-- What is to be told to the data platform, how far that is, and in which batches. Ids are text in byte order
-- (COLLATE "C"), so that ORDER BY here and sorting in Go agree.

-- +goose Up
-- One row per event, for as long as it may be asked for again. The day is that of the event's own time, not of its
-- arrival: an event that a relay publishes again past midnight must meet its own row.
CREATE TABLE fact (
    day         date        NOT NULL,
    id          uuid        NOT NULL,
    position    bigint      NOT NULL,
    sequence    bigint      NOT NULL,
    occurred_at timestamptz NOT NULL,
    causation   uuid,
    correlation uuid,
    type        text        NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    payload     bytea       NOT NULL,
    CONSTRAINT fact_once PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);
CREATE INDEX fact_by_position ON fact (position);
-- What fits no day: the record of a clock that is wrong by days.
CREATE TABLE fact_default PARTITION OF fact DEFAULT;

-- The last position given. It is taken and moved under the row's lock, which is held up to COMMIT: who sees a position
-- sees all before it. A sequence would give no such promise, and a reader with a cursor would pass over the rows of a
-- transaction that commits late.
CREATE TABLE head (
    single    boolean PRIMARY KEY DEFAULT true,
    position  bigint  NOT NULL DEFAULT 0,
    kept_from date,                                -- all facts from this day on are kept; NULL: of all days
    CONSTRAINT head_is_one_row CHECK (single)
) WITH (fillfactor = 50);
INSERT INTO head DEFAULT VALUES;

-- The live export, which never ends, and replays, which do.
CREATE TABLE stream (
    id        uuid        PRIMARY KEY,             -- all zeroes: the live one
    position  bigint      NOT NULL DEFAULT 0,      -- everything up to here has been taken by the platform
    since     timestamptz,                         -- a replay's: facts from this time on
    up_to     bigint,                              -- a replay's: facts up to this position
    batches   bigint      NOT NULL DEFAULT 0,
    facts     bigint      NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at   timestamptz,
    CONSTRAINT stream_live_or_bounded CHECK ((since IS NULL) = (up_to IS NULL))
) WITH (fillfactor = 50);
INSERT INTO stream (id) VALUES ('00000000-0000-0000-0000-000000000000');
CREATE INDEX stream_open ON stream (opened_at) WHERE done_at IS NULL;

-- A batch is written before it is sent, so that it is the same one whenever it is sent again.
CREATE TABLE batch (
    id         uuid        PRIMARY KEY,
    stream     uuid        NOT NULL REFERENCES stream,
    first      bigint      NOT NULL,
    last       bigint      NOT NULL,
    facts      integer     NOT NULL,
    attempts   integer     NOT NULL DEFAULT 0,
    last_error text        NOT NULL DEFAULT '',
    cut_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at    timestamptz,
    CONSTRAINT batch_in_order CHECK (first <= last)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX batch_one_open_per_stream ON batch (stream) WHERE sent_at IS NULL;
CREATE INDEX batch_sent ON batch (sent_at);

-- +goose Down
DROP TABLE batch, stream, head, fact;
