-- What carriers tell of parcels on their way, and which parcels they are asked about should they not tell by themselves.

-- +goose Up
-- Append-only. The same fact told again, by webhook or when asked, is the same row.
CREATE TABLE tracking_history (
    order_id text COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,          -- the carrier's own time, where it tells one
    status   text        NOT NULL,
    source   text        NOT NULL,          -- who told: the carrier, or the aggregator
    location text        NOT NULL,          -- a place's name, or ''
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (order_id, at, status, source)
);
-- What a person has to look into.
CREATE INDEX tracking_trouble ON tracking_history (noted_at) WHERE status IN ('UNDELIVERABLE', 'LOST', 'RETURNED');

-- +goose StatementBegin
CREATE FUNCTION tracking_history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'tracking_history is append-only' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'tracking_history_is_append_only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tracking_history
    FOR EACH ROW EXECUTE FUNCTION tracking_history_is_append_only();

-- One row per parcel of which more is expected, and no other: it comes and goes in the transaction that changes the
-- shipment. It is apart from the shipment, so that asking about parcels takes none of the locks that decisions take.
CREATE TABLE parcel_watch (
    order_id      text COLLATE "C" PRIMARY KEY,
    due_at        timestamptz NOT NULL,         -- when the carrier is asked next
    attempts      integer     NOT NULL DEFAULT 0, -- how often it was asked since there was news
    asked_at      timestamptz,
    watched_until timestamptz                   -- until when callbacks are registered at an aggregator
);
CREATE INDEX parcel_watch_due ON parcel_watch (due_at);

-- Parcels that are under way already.
INSERT INTO parcel_watch (order_id, due_at)
SELECT order_id, clock_timestamp() + interval '10 minutes' * random() FROM shipment
WHERE state IN ('PREPARED', 'STOPPING') OR state = 'DISPATCHED' AND tracking NOT IN ('LOST', 'RETURNED');

-- +goose Down
DROP TABLE parcel_watch, tracking_history;
DROP FUNCTION tracking_history_is_append_only;
