-- +goose Up

-- Events that are committed and not yet on the broker. A row lives for some milliseconds: from the
-- COMMIT of the transaction that wrote it until the relay has the broker's acknowledgement.
--
-- id is the order of sending. It is taken while the writer holds the subject's lock, hence per key it
-- is the order of commit; between keys it is not, and must not be taken for it. Never CACHE more than
-- 1: a session that holds a block of ids would give an event a lower id than one committed before it.
--
-- No other index than the primary key. Every row is inserted once and deleted once, so each further
-- index would cost twice per event, and nothing but "the oldest rows" is ever asked for.
CREATE TABLE outbox (
    id       bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    topic    text  NOT NULL,
    key      text  NOT NULL,
    event_id uuid  NOT NULL,
    seq      int   NOT NULL,
    headers  bytea NOT NULL,
    payload  bytea NOT NULL,
    -- A row that the broker refuses for its size would block the relay for ever: it is refused here,
    -- in the transaction that wants to emit it. The broker's default limit is 1,048,588 bytes a
    -- batch; the three limits together, with the framing, stay below the client's 1,000,012.
    CONSTRAINT payload_fits_broker CHECK (octet_length(payload) <= 900000),
    CONSTRAINT headers_fit_broker CHECK (octet_length(headers) <= 32768),
    CONSTRAINT key_fits_broker CHECK (octet_length(key) <= 4096),
    CONSTRAINT key_orders_events CHECK (key <> ''),
    CONSTRAINT topic_named CHECK (topic <> '')
);

-- A queue table: nearly empty, and a torrent goes through it.
-- * fillfactor stays at 100: no row is ever updated, room left for a second version would be waste.
-- * Vacuum by a count of dead rows, not by a share of a table that is empty when it is looked at, and
--   without pauses; with index clean-up always (by default it is left out while few pages are
--   affected), because the relay begins each read at the left end of the index, where the dead
--   entries are.
-- * No truncation at the end of a vacuum: it takes an ACCESS EXCLUSIVE lock, in the way of every
--   writer, to give back pages that are needed again a moment later.
-- * No vacuum for inserts alone (it would freeze rows that are about to go) and no ANALYZE in
--   practice: a sample says "empty" or "full" by chance. The relay does not depend on statistics, its
--   connection rules out the plans that could flip (see relay's connection settings).
ALTER TABLE outbox SET (
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_analyze_threshold = 2147483647,
    vacuum_index_cleanup = on,
    vacuum_truncate = off,
    toast.autovacuum_vacuum_threshold = 5000,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_insert_threshold = -1,
    toast.vacuum_index_cleanup = on,
    toast.vacuum_truncate = off
);

-- +goose Down
DROP TABLE outbox;
